/**
 * What the long-lived processes print with --json: one object a line, its `event` first. Scripts rely
 * on these names; docs/EVENTS.md is generated from this file, and the types of what may be printed
 * are derived from it.
 */

interface ValueOfKind {
  text: string
  texts: readonly string[]
  number: number
  boolean: boolean
}

type Kind = keyof ValueOfKind

interface Field {
  readonly kind: Kind
  readonly meaning: string
  readonly optional?: true
}

interface EventDescription {
  readonly meaning: string
  readonly fields: Readonly<Record<string, Field>>
}

const text = (meaning: string) => ({ kind: 'text', meaning }) as const
const texts = (meaning: string) => ({ kind: 'texts', meaning }) as const
const number = (meaning: string) => ({ kind: 'number', meaning }) as const
const boolean = (meaning: string) => ({ kind: 'boolean', meaning }) as const
const optional = <F extends Field>(field: F) => ({ ...field, optional: true }) as const

const seconds = number('Seconds since the process started.')

const ofEveryProcess = {
  stopped: {
    meaning:
      'Told to stop, and everything is put away; the last line, unless an `error` says what was not done.',
    fields: { seconds }
  },
  error: {
    meaning: 'The process ends because of this; the last line.',
    fields: {
      code: text('A code of the error catalogue.'),
      message: text('The reason, in one line, and what to do.')
    }
  }
} as const

const received = {
  seconds,
  bytesFromSeed: number('Chunk payload received from seeds, as it was on the wire.'),
  bytesFromPeers: number('Chunk payload received from other agents, as it was on the wire.')
} as const

const finished = {
  ...received,
  bytesLocal: number('Plain bytes taken from what the disk already held.'),
  verified: boolean('Whether the whole disk has been read back and matches the image.'),
  machineWrittenBytes: number('Bytes in 4 KiB blocks that the machine itself has written.'),
  unverifiableBytes: number('Bytes that could not be compared: their pristine chunk was given up.')
} as const

const ofDevice = {
  attached: {
    meaning: 'The device can be used.',
    fields: {
      device: text('Its path.'),
      size: number('Its bytes.'),
      nbd: text('Where they come from: unix:PATH or HOST:PORT.')
    }
  },
  lost: { meaning: 'The connection is gone; requests wait for an agent.', fields: { seconds } },
  reconnected: { meaning: 'After `lost`: an agent answers again.', fields: { seconds } }
} as const

export const eventCatalogue = {
  seed: {
    ready: {
      meaning: 'The seed can be used: it listens and serves; the first line.',
      fields: {
        addresses: texts('Multiaddrs at which agents reach it.'),
        http: optional(text('URL of its HTTP listener: http://HOST:PORT.')),
        nbd: optional(text('Where its images can be opened by NBD: unix:PATH or HOST:PORT.'))
      }
    },
    imported: {
      meaning: 'An image was added to the store and is served from now on.',
      fields: { image: text('Its CID.'), name: text('Its NAME:TAG.') }
    },
    progress: {
      meaning: 'At most once a second, while chunks are sent.',
      fields: {
        seconds,
        bytesSent: number('Chunk payload sent since the start, as it was on the wire.'),
        agents: number('Agents connected now.')
      }
    },
    ...ofEveryProcess
  },
  agent: {
    ready: {
      meaning:
        'The NBD socket answers: the disk can be used. The first line, unless `unreachable`, `name-kept` or `scanning` come before it.',
      fields: {
        nbd: text('Where: unix:PATH or HOST:PORT.'),
        size: number('Bytes of the device, as many as the image has.'),
        image: text('CID of the image.'),
        name: text('Name of the machine.'),
        present: number('Share of the image that is on the disk already, 0 to 1.'),
        handedOver: optional(
          boolean('The machine uses this disk itself by now, and needs no agent.')
        )
      }
    },
    progress: {
      meaning: 'At most once a second, while chunks arrive.',
      fields: {
        ...received,
        present: number('Share of the image that is on the disk, 0 to 1.'),
        rate: number('Bytes a second, received of late.'),
        peers: number('Seeds and agents connected now.')
      }
    },
    unreachable: {
      meaning: 'No seed answers; the agent keeps trying. Said again, less and less often.',
      fields: {
        seconds,
        addresses: texts('Where it tried.'),
        why: text('What the last of the tries failed of.')
      }
    },
    'name-kept': {
      meaning:
        'The machine was enrolled by another name than it was to be called now, and no seed has signed the new one: it keeps the one that it has.',
      fields: {
        seconds,
        name: text('The name that it keeps.'),
        why: text('Why no seed signed the other.')
      }
    },
    scanning: {
      meaning: 'At most once a second, before `ready`: what the disk holds is read and hashed.',
      fields: {
        seconds,
        bytesDone: number('Bytes that have been read.'),
        size: number('Bytes that are to be read.')
      }
    },
    starved: {
      meaning: 'A read has waited for two seconds because nobody can deliver its chunk.',
      fields: { seconds, reads: number('Reads that wait now.') }
    },
    fed: {
      meaning: 'After `starved`: what was waited for is here, and nothing else waits for so long.',
      fields: { seconds, waited: number('Seconds that the longest of them waited.') }
    },
    stalled: {
      meaning:
        'Nothing has come for ten seconds, though chunks are missing and peers are connected. Said again, less and less often; `progress` says that it goes on.',
      fields: {
        seconds,
        chunks: number('Chunks that are missing.'),
        answers: texts(
          'Why peers did not send them: `not-held`, `busy`, …, or `corrupt` for what came and was wrong; empty if nobody answered.'
        )
      }
    },
    full: {
      meaning: 'The file system of the target disk is full: streaming pauses until there is room.',
      fields: { seconds }
    },
    room: { meaning: 'After `full`: streaming goes on.', fields: { seconds } },
    'given-up': {
      meaning:
        'The machine wrote into a chunk and there is no room to keep what the image has there: it is not served to peers any more.',
      fields: { seconds, chunks: number('How many there are of them by now.') }
    },
    foreseen: {
      meaning: 'A boot profile of the image came: what boots read is fetched ahead of the reads.',
      fields: {
        seconds,
        chunks: number('Chunks that it names.'),
        reports: number('Boots that it was learned from.')
      }
    },
    booted: {
      meaning:
        'Nothing was read for the first time for as long as --profile-after says: what the boot read is reported to the seeds.',
      fields: { seconds, chunks: number('Chunks that the boot read.') }
    },
    newer: {
      meaning: 'The name means a newer image by now; this disk goes on with the one it began.',
      fields: { name: text('The name asked for.'), image: text('CID of the newer image.') }
    },
    unknown: {
      meaning:
        'A seed knows no image of the name asked for; this disk goes on with the one it began.',
      fields: { name: text('The name asked for.'), image: text('CID of the image on this disk.') }
    },
    present: { meaning: 'Every chunk has been hashed and written.', fields: finished },
    complete: { meaning: 'The disk is complete and verified.', fields: finished },
    'handed-over': {
      meaning: 'The machine uses its disk directly from now on; the NBD socket is closed.',
      fields: { seconds }
    },
    unshared: {
      meaning: 'The disk is complete and peers are not served any more, as --share asked.',
      fields: { seconds }
    },
    ...ofDevice,
    ...ofEveryProcess
  },
  netboot: {
    ready: {
      meaning: 'Machines can boot; the first line of `netboot serve`.',
      fields: {
        url: text('http://HOST:PORT; machines begin with its /boot.ipxe.'),
        dnsmasq: text('What dnsmasq needs to send machines there.')
      }
    },
    script: {
      meaning: 'A machine has asked what to boot.',
      fields: {
        seconds,
        machine: text('Its hardware address, or its SMBIOS UUID.'),
        script: text('`deploy`, `local` (it boots from its disk) or `refused`.'),
        why: optional(text('Why it gets nothing.'))
      }
    },
    ...ofEveryProcess
  },
  attach: {
    ...ofDevice,
    ...ofEveryProcess
  }
} as const satisfies Record<string, Record<string, EventDescription>>

type Catalogue = typeof eventCatalogue
export type ProcessName = keyof Catalogue
export type EventName<P extends ProcessName> = keyof Catalogue[P] & string

type FieldsOf<P extends ProcessName, E extends EventName<P>> = Catalogue[P][E] extends {
  fields: infer F
}
  ? F
  : never

type OptionalKeys<F> = { [K in keyof F]: F[K] extends { optional: true } ? K : never }[keyof F]
type Value<F> = F extends { kind: infer K extends Kind } ? ValueOfKind[K] : never

/** What an event carries beside its name, by the catalogue. */
export type EventFields<P extends ProcessName, E extends EventName<P>> = {
  readonly [K in Exclude<keyof FieldsOf<P, E>, OptionalKeys<FieldsOf<P, E>>>]: Value<
    FieldsOf<P, E>[K]
  >
} & { readonly [K in OptionalKeys<FieldsOf<P, E>>]?: Value<FieldsOf<P, E>[K]> }

/** One event of a process as an object: `{ event: 'present', seconds: 3.1, … }`. */
export type ProcessEvent<P extends ProcessName> = {
  [E in EventName<P>]: { readonly event: E } & EventFields<P, E>
}[EventName<P>]

export type SeedEvent = ProcessEvent<'seed'>
export type AgentEvent = ProcessEvent<'agent'>
export type AttachEvent = ProcessEvent<'attach'>
export type DeviceEvent = Extract<AttachEvent, { event: keyof typeof ofDevice }>
export type NetbootEvent = ProcessEvent<'netboot'>
