import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'

// An HTTP server of the files in one folder, for guests: serve-files.ts FOLDER PORT.

const [folder = '.', port = '8080'] = process.argv.slice(2)

createServer((request, response) => {
  const path = join(folder, basename(request.url ?? ''))
  const send = async (): Promise<void> => {
    const { size } = await stat(path)
    response.setHeader('content-length', size)
    if (request.method === 'HEAD') response.end()
    else await pipeline(createReadStream(path), response)
  }
  send().catch(() => {
    if (!response.headersSent) response.statusCode = 404
    response.end()
  })
}).listen(Number(port), () => process.stdout.write('ready\n'))
