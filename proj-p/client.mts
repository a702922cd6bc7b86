import { connect } from '@coppice/vkv'
export const f = async (): Promise<void> => { await using db = await connect('x'); const l: AbortSignal = (await db.lock('x')).signal; void l }
