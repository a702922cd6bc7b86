import { fuzz } from './fuzz.js'

fuzz(1, 1_000)
