export { defaultListen, Seed } from './seed.ts'
export { makeTicket, openBootTickets } from './ticket.ts'
