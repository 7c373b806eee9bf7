export { defaultListen, Seed, type SeedOptions } from './seed.ts'
export { makeTicket } from './ticket.ts'
