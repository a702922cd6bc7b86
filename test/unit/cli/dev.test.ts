// What a dev cluster is made of, and how its processes are told apart from others.
import { spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readClusterFile, writeClusterFile } from '../../../packages/cli/src/dev/cluster-file.js'
import { layoutConflict, newLayout, refuseTakenPorts } from '../../../packages/cli/src/dev/layout.js'
import { cpuMsOf, isPaused, isRunning, startTimeOf } from '../../../packages/cli/src/dev/processes.js'

const OPTIONS = { configServers: 3, replicas: 3, spares: 1, port: 7100, group: 'main' }

test('newLayout_portsFollowTheGivenOne', async () => {
  const { configServers, replicas, wanted } = await newLayout(OPTIONS)
  expect(configServers.map(({ id, address }) => `${id} ${address}`)).toEqual([
    'c1 127.0.0.1:7101',
    'c2 127.0.0.1:7102',
    'c3 127.0.0.1:7103',
  ])
  expect(replicas.map(({ id, address }) => `${id} ${address}`).at(-1)).toBe('r4 127.0.0.1:7114')
  expect(wanted).toBe(3)
})

test('newLayout_freePorts_allDifferent', async () => {
  const { configServers, replicas } = await newLayout({ ...OPTIONS, port: 0 })
  const addresses = [...configServers, ...replicas].map(({ address }) => address)
  expect(new Set(addresses).size).toBe(7)
})

test('newLayout_zones_areGivenInTurn_andKeptByASecondStart', async () => {
  const zones = ['east', 'west']
  const layout = await newLayout({ ...OPTIONS, port: 0, zones })
  const turn = layout.replicas.map((_, i) => zones[i % 2])
  expect(layout.replicas.map(({ zone }) => zone)).toEqual(turn)
  expect(layout.configServers.every(({ zone }) => zone === undefined)).toBe(true)
  expect(layoutConflict(layout, { zones })).toBeUndefined()
  expect(layoutConflict(layout, {})).toBeUndefined()
  expect(layoutConflict(layout, { zones: ['east'] })).toBe('its replica r2 has zone west')
})

test('newLayout_twoConfigServers_refused', async () => {
  await expect(newLayout({ ...OPTIONS, configServers: 2 })).rejects.toThrow('1, 3 or 5')
})

test('newLayout_portTooHigh_refused', async () => {
  await expect(newLayout({ ...OPTIONS, port: 65_530 })).rejects.toThrow('--port')
})

test('refuseTakenPorts_onePortIsAnothers_named', async () => {
  const layout = await newLayout({ ...OPTIONS, port: 0 })
  await refuseTakenPorts(layout)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const [first, ...others] = layout.configServers
  const taken = { ...layout, configServers: [{ ...first!, address: `127.0.0.1:${port}` }, ...others] }
  await expect(refuseTakenPorts(taken)).rejects.toThrow(`port ${port} of 127.0.0.1 is taken`)
  server.close()
})

test('layoutConflict_namesWhatTheClusterHas', async () => {
  const layout = await newLayout(OPTIONS)
  expect(layoutConflict(layout, {})).toBeUndefined()
  expect(layoutConflict(layout, { replicas: 3, spares: 1, configServers: 3 })).toBeUndefined()
  expect(layoutConflict(layout, { replicas: 5 })).toContain('3 replicas')
  expect(layoutConflict(layout, { spares: 0 })).toContain('1 spares')
  expect(layoutConflict(layout, { port: 7100 })).toBeUndefined()
  expect(layoutConflict(layout, { port: 7200 })).toContain('port 7101')
})

test('clusterFile_roundTrip_andDamageIsNamed', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'coppice-cluster-'))
  expect(readClusterFile(dir)).toBeUndefined()
  const layout = await newLayout(OPTIONS)
  writeClusterFile(dir, layout)
  expect(readClusterFile(dir)).toEqual(layout)
  writeFileSync(join(dir, 'cluster.json'), '{"format":1}')
  expect(() => readClusterFile(dir)).toThrow(/cluster\.json is damaged/)
})

test('processes_ownPidWithAnotherStartTime_isNotIt', async () => {
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] })
  const pid = child.pid!
  const startTime = startTimeOf(pid)!
  expect(isRunning({ pid, startTime })).toBe(true)
  expect(isRunning({ pid, startTime: `${startTime}0` })).toBe(false)
  expect(isPaused(pid)).toBe(false)
  if (process.platform === 'linux') expect(cpuMsOf(pid)).toBeGreaterThanOrEqual(0)
  const ended = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGKILL')
  await ended
  expect(isRunning({ pid, startTime })).toBe(false)
})
