export { defaultListen, Seed, type SeedOptions } from './seed.ts'
export { makeTicket, openBootTickets } from './ticket.ts'
