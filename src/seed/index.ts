export { defaultListen, Seed, type SeedOptions } from './seed.ts'
export { makeBootTicket, makeTicket } from './ticket.ts'
