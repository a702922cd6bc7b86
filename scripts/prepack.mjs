// Before a package is packed (npm runs it in the package's directory): builds it with what it stands on, removes what an earlier
// build left of sources that are gone, and refuses to pack anything that a user must not get or must have.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from './setup.mjs'

const OUTPUT = /\.(d\.ts|js)(\.map)?$/

/** Builds the packages in these directories, and all they stand on. Throws with the compiler's words. */
export function build(dirs) {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, '-b', ...dirs], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`build failed:\n${stdout}${stderr}`)
}

/** Removes outputs without a source; answers their names. */
export function removeRemains(dir) {
  const dist = join(dir, 'dist')
  const outputs = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) => OUTPUT.test(file))
  const remains = outputs.filter((file) => !existsSync(join(dir, 'src', file.replace(OUTPUT, '.ts'))))
  for (const file of remains) rmSync(join(dist, file))
  return remains
}

/** Throws when the package is not fit to be packed. */
export function checkPackage(dir) {
  const { name, version, license, exports, bin, dependencies } = JSON.parse(
    readFileSync(join(dir, 'package.json'), 'utf8'),
  )
  const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const refuse = (why) => {
    throw new Error(`${name}: ${why}`)
  }
  if (version !== own.version) refuse(`version ${version}, but the repository has ${own.version}`)
  if (license !== own.license) refuse(`licence ${license}`)
  if (!existsSync(join(dir, 'README.md'))) refuse('no README.md')
  if (readFileSync(join(dir, 'LICENSE'), 'utf8') !== readFileSync(join(root, 'LICENSE'), 'utf8')) {
    refuse('its LICENSE differs from the repository’s')
  }
  const files = Object.values(exports).flatMap((entry) =>
    typeof entry === 'string' ? [entry] : [entry.types, entry.default],
  )
  files.push(...Object.values(bin ?? {}))
  for (const file of files) if (!existsSync(join(dir, file))) refuse(`${file} is missing`)
  for (const [other, range] of Object.entries(dependencies ?? {})) {
    // A range would let two versions of one protocol meet in a process.
    if (other.startsWith('@coppice/') && range !== version) refuse(`depends on ${other} ${range}, not on ${version}`)
  }
}

export function prepack(dirs) {
  build(dirs)
  for (const dir of dirs) {
    for (const file of removeRemains(dir))
      process.stderr.write(`${relative(root, dir)}: removed dist/${file}, its source is gone\n`)
    checkPackage(dir)
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    prepack([resolve('.')])
  } catch (error) {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}
