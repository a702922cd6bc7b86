// The lock of a data directory between real processes: exclusive, by inode, and gone with its holder however that died.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lockDataDir } from '@coppice/runtime/server'
import { afterEach, beforeEach, expect, test } from 'vitest'

let base: string
let dir: string
const children: ChildProcess[] = []

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'coppice-lock-'))
  dir = join(base, 'data')
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    // Its lock is on an inode that the next test's directory may get.
    await once(child, 'exit')
  }
  rmSync(base, { recursive: true, force: true })
})

const HOLDER = `
  import { lockDataDir } from '@coppice/runtime/server'
  await lockDataDir(process.argv[1], 'replica r9')
  console.log('locked')
  setInterval(() => {}, 1000)
`

/** Another process that holds the lock. */
async function holder(): Promise<ChildProcess> {
  const args = ['--input-type=module', '-e', HOLDER, dir]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  await Promise.race([
    once(child.stdout!, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error('the holder ended'))),
  ])
  return child
}

test('lock_heldByThisProcess_isRefusedAgain_untilReleased', async () => {
  const lock = await lockDataDir(dir, 'replica r1')
  await expect(lockDataDir(dir, 'replica r2')).rejects.toMatchObject({
    code: 'DIRECTORY_IN_USE',
    message: `data directory ${dir} is in use by replica r1 (pid ${process.pid})`,
  })
  lock.release()
  const again = await lockDataDir(dir, 'replica r2')
  again.release()
})

test('lock_heldByAnotherProcess_namesIt_andIsFreeAfterKill9', async () => {
  const child = await holder()
  await expect(lockDataDir(dir, 'replica r1')).rejects.toThrow(`in use by replica r9 (pid ${child.pid})`)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const lock = await lockDataDir(dir, 'replica r1')
  lock.release()
})

test('lock_heldByAStoppedProcess_isStillHeld', async () => {
  const child = await holder()
  child.kill('SIGSTOP')
  await expect(lockDataDir(dir, 'replica r1')).rejects.toThrow(`pid ${child.pid}`)
})

test('lock_throughAnotherPath_isTheSameLock', async () => {
  const lock = await lockDataDir(dir, 'replica r1')
  const alias = join(base, 'alias')
  symlinkSync(dir, alias)
  await expect(lockDataDir(alias, 'replica r2')).rejects.toMatchObject({ code: 'DIRECTORY_IN_USE' })
  lock.release()
})

test('lock_manyAtOnce_exactlyOneGetsIt', async () => {
  const tries = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => lockDataDir(dir, `replica r${i}`)))
  const got = tries.filter((each) => each.status === 'fulfilled')
  expect(got).toHaveLength(1)
  for (const each of got) each.value.release()
})

test('lock_onAFile_isRefusedByName', async () => {
  const file = join(base, 'file')
  writeFileSync(file, '')
  await expect(lockDataDir(join(file, 'data'), 'replica r1')).rejects.toMatchObject({ code: 'DIRECTORY_UNUSABLE' })
})
