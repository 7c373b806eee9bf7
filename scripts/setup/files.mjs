import { accessSync, constants, readFileSync } from 'node:fs'
import { SetupError } from './messages.mjs'

export function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw new SetupError(`cannot read ${path}: ${error.message}`)
  }
}

export const isExecutable = path => isAccessible(path, constants.X_OK)
export const isReadable = path => isAccessible(path, constants.R_OK)

function isAccessible(path, mode) {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
