export { knownProfile, type KnownProfile } from './boot-profiles.ts'
export { defaultListen, Seed, type SeedOptions } from './seed.ts'
export { makeTicket, openBootTickets } from './ticket.ts'
