import { fuzz } from './fuzz.js'

fuzz(1001, 1_000)
