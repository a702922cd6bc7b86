// The clerk as portable code over ports: what the simulator runs and other packages build on.
export type * from './client/api.js'
export { Clerk } from './client/clerk.js'
