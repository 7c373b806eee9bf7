import { BootswarmError, parseMachineId } from '../base/index.ts'
import { idOfCidText, parseImageName } from '../image/index.ts'

/** What a machine is told to do, as the kernel arguments of docs/netboot.md. */
export interface MachineSettings {
  /** A name, a name and tag, or a CID. */
  readonly image: string
  /** The target disk, such as /dev/sda; what bootstrap/ takes. */
  readonly disk: string
  readonly writes: 'keep' | 'discard'
  /** `wipe`: whatever is on the disk may go. */
  readonly consent: 'none' | 'wipe'
  /** What the machine is called; without it, as it calls itself. */
  readonly name?: string
  /** More arguments for its kernel. */
  readonly append?: string
}

// What is written here goes into a script and a kernel's command line: only what means nothing there.
const shapes: Readonly<Record<keyof MachineSettings, RegExp>> = {
  image: /^[A-Za-z0-9._:/-]{1,256}$/,
  disk: /^[A-Za-z0-9._:/=+-]{1,256}$/,
  writes: /^(keep|discard)$/,
  consent: /^(none|wipe)$/,
  name: /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/,
  append: /^[A-Za-z0-9 ._:/=,+@%-]{1,512}$/
}

const machinesBytesMax = 16 * 1024 * 1024

/** Settings for all machines, and what is different for some, by hardware address or UUID. */
export class Machinery {
  readonly #all: Partial<MachineSettings>
  readonly #some = new Map<string, Partial<MachineSettings>>()

  /** ERR_USAGE naming the option for a value that is malformed. */
  constructor(all: Partial<Record<keyof MachineSettings, string | undefined>>) {
    this.#all = checked(all, name => `--${name}`)
  }

  /** `ID,image=…,disk=…`; ERR_USAGE. */
  addOption(text: string): void {
    const [id = '', ...pairs] = text.split(',')
    const values = pairs.map(pair => {
      const at = pair.indexOf('=')
      return [pair.slice(0, Math.max(0, at)), pair.slice(at + 1)] as const
    })
    this.#add(id, Object.fromEntries(values), `--machine ${id}`)
  }

  /** A JSON object: for each id an object of settings. ERR_USAGE naming the file. */
  addFile(path: string, text: string): void {
    const all = objectOf(text.length > machinesBytesMax ? undefined : parsed(text))
    if (all === undefined) throw usage(`--machines ${path}`, 'is no JSON object of machines')
    for (const [id, value] of Object.entries(all)) {
      const settings = objectOf(value)
      if (settings === undefined) throw usage(`--machines ${path}`, `has no object for ${id}`)
      this.#add(id, settings, `--machines ${path}: ${id}`)
    }
  }

  /** Of the first of these ids that is listed, on top of what is said for all. */
  of(ids: readonly string[]): { settings: Partial<MachineSettings>; isListed: boolean } {
    const own = ids.map(id => this.#some.get(id)).find(found => found !== undefined)
    const defaults = { writes: 'keep', consent: 'none' } as const
    return { settings: { ...defaults, ...this.#all, ...own }, isListed: own !== undefined }
  }

  #add(text: string, values: Record<string, unknown>, where: string): void {
    const id = parseMachineId(text)
    if (id === undefined) throw usage(where, 'names no hardware address or SMBIOS UUID')
    const settings = checked(values, name => `${where}: ${name}`)
    this.#some.set(id, { ...this.#some.get(id), ...settings })
  }
}

function checked(
  values: Record<string, unknown>,
  where: (name: string) => string
): Partial<MachineSettings> {
  const settings: Record<string, string> = {}
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue
    const shape = Object.hasOwn(shapes, name) ? shapes[name as keyof MachineSettings] : undefined
    if (shape === undefined) {
      throw usage(where(name), `is none of ${Object.keys(shapes).join(', ')}`)
    }
    if (typeof value !== 'string' || !shape.test(value)) {
      throw usage(where(name), `cannot be ${JSON.stringify(value)}`)
    }
    settings[name] = value
  }
  if (settings.image !== undefined && idOfCidText(settings.image) === undefined) {
    parseImageName(settings.image)
  }
  return settings
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function objectOf(value: unknown): Record<string, unknown> | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? (value as Record<string, unknown>) : undefined
}

function usage(where: string, why: string): BootswarmError {
  return new BootswarmError('ERR_USAGE', `${where} ${why}`)
}
