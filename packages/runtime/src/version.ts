// The version that servers tell of. Not read from package.json: that takes `import.meta`, which tools that compile packages to CommonJS
// (jest's transforms, bundlers) do not have.

/** Of all packages of Coppice. */
export const VERSION = '0.1.0'
