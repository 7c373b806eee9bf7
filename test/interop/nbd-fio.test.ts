import test from 'ava'
import { serve, succeed } from './nbd-fixture.ts'

interface FioReport {
  readonly jobs: readonly {
    readonly error: number
    readonly read: { readonly total_ios: number }
    readonly write: { readonly total_ios: number }
  }[]
}

const jobs = {
  'random writes of 4 KiB, 16 at once': ['--rw=randwrite', '--bs=4k', '--iodepth=16'],
  'mixed sizes at odd places': [
    '--rw=randwrite',
    '--bsrange=512-96k',
    '--bs_unaligned=1',
    '--blockalign=512',
    '--iodepth=8'
  ],
  'writes in order of 1 MiB, with a flush after each second': [
    '--rw=write',
    '--bs=1m',
    '--iodepth=4',
    '--fsync=2'
  ]
}

for (const [name, options] of Object.entries(jobs)) {
  for (const over of ['unix', 'tcp'] as const) {
    test(`fio: ${name}, verified, over ${over}`, async t => {
      const { uri, device } = await serve(t, over)
      const output = await succeed(
        t,
        'fio',
        '--name=verify',
        '--ioengine=nbd',
        `--uri=${uri}`,
        '--size=8m',
        '--verify=crc32c',
        '--verify_fatal=1',
        '--do_verify=1',
        '--randrepeat=1',
        '--verify_state_save=0',
        '--output-format=json',
        ...options
      )
      const report = JSON.parse(output.slice(output.indexOf('{'))) as FioReport
      const job = report.jobs[0]
      t.is(job?.error, 0)
      t.true((job?.read.total_ios ?? 0) > 0 && (job?.write.total_ios ?? 0) > 0)
      if (options.includes('--fsync=2')) t.true(device.flushes > 0)
    })
  }
}
