import type * as Runtime from '@coppice/runtime/server'
import { expect, test, vi } from 'vitest'
import { freshDir, openStore } from './support.js'

let full = false

vi.mock('@coppice/runtime/server', async (original) => {
  const runtime = await original<typeof Runtime>()
  const openLmdb: typeof runtime.openLmdb = (path, options) => {
    const lmdb = runtime.openLmdb(path, options)
    // As lmdb does it: whoever waits is told nothing.
    if (full) lmdb.commit = () => void setImmediate(() => options.onFailure('no space left on device'))
    return lmdb
  }
  return { ...runtime, openLmdb }
})

test('open_freshStoreOnAFullDisk_isRefused_notWaitedFor', async () => {
  const dir = freshDir()
  full = true
  await expect(openStore(dir)).rejects.toThrow(/cannot be opened: .*no space left on device/)
  full = false
  await openStore(dir)
}, 5_000)
