#!/usr/bin/env node
// All public packages as tarballs, ready for `npm install DIR/*.tgz` in a project outside of this repository.
//
//   node scripts/pack.mjs [DIR]          (default: ./tarballs, which is emptied of tarballs first)
//
// Prints one line a package: its tarball, files and size.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { prepack } from './prepack.mjs'
import { root } from './setup.mjs'

/** Directories of the packages that are published. */
export function publicPackages() {
  const dirs = readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name))
  const manifests = dirs.filter((dir) => existsSync(join(dir, 'package.json')))
  return manifests.filter((dir) => JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')).private !== true)
}

/** Packs all of them into `into`; answers what npm says of each: name, filename, files, size (bytes). */
export function packAll(into) {
  mkdirSync(into, { recursive: true })
  for (const file of readdirSync(into)) if (file.endsWith('.tgz')) rmSync(join(into, file))
  const dirs = publicPackages()
  prepack(dirs)
  // What prepack does was done for all at once.
  const args = ['pack', '--ignore-scripts', '--json', '--loglevel=error', '--pack-destination', into, ...dirs]
  const { status, stdout, stderr, error } = npm(args)
  if (status !== 0) throw new Error(`npm pack failed: ${error?.message ?? ''}\n${stderr}`)
  const packed = JSON.parse(stdout)
  return Array.isArray(packed) ? packed : Object.values(packed)
}

// npm's own script when npm runs this one; else by name, which on Windows is a batch file that only a shell finds.
function npm(args) {
  const script = process.env.npm_execpath
  if (script?.endsWith('.js')) return spawnSync(process.execPath, [script, ...args], { cwd: root, encoding: 'utf8' })
  return spawnSync('npm', args, { cwd: root, encoding: 'utf8', shell: process.platform === 'win32' })
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    const into = resolve(process.argv[2] ?? join(root, 'tarballs'))
    for (const { filename, files, size } of packAll(into)) {
      process.stdout.write(`${join(into, filename)}  ${files.length} files, ${Math.ceil(size / 1024)} KiB\n`)
    }
  } catch (error) {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}
