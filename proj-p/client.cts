import vkv = require('@coppice/vkv')
export const f = async (): Promise<void> => { const db = await vkv.connect('x'); await db.close() }
