// The little of SVG that the charts need: elements as text, one look for all of them.

export type Attributes = Readonly<Record<string, string | number>>

export const FONT = 'system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'
export const INK = '#1f2430'
export const FAINT = '#d5d8de'
/** Told apart by people with any kind of colour vision (Okabe and Ito). */
export const COLOURS = ['#0072b2', '#56b4e9', '#d55e00', '#009e73', '#cc79a7', '#e69f00'] as const

export function colourOf(i: number): string {
  return COLOURS[i % COLOURS.length]!
}

export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const text = Object.entries(attributes)
    .map(
      ([key, value]) => ` ${key}="${escaped(typeof value === 'number' ? String(Math.round(value * 10) / 10) : value)}"`,
    )
    .join('')
  return children.length === 0 ? `<${name}${text}/>` : `<${name}${text}>${children.join('')}</${name}>`
}

export function label(x: number, y: number, text: string, attributes: Attributes = {}): string {
  return element('text', { x, y, fill: INK, 'font-size': 12, ...attributes }, escaped(text))
}

/** The whole picture, on white whatever is behind it. */
export function picture(width: number, height: number, title: string, parts: readonly string[]): string {
  const attributes = { xmlns: 'http://www.w3.org/2000/svg', viewBox: `0 0 ${width} ${height}`, 'font-family': FONT }
  const background = element('rect', { width, height, fill: '#ffffff' })
  const heading = label(16, 26, title, { 'font-size': 16, 'font-weight': 600 })
  const lines = [element('title', {}, escaped(title)), background, heading, ...parts]
  return `${element('svg', { ...attributes, width, height, role: 'img' }, `\n${lines.join('\n')}\n`)}\n`
}

export interface LegendEntry {
  readonly name: string
  readonly colour: string
  /** Drawn as an outline, like a line that is dashed. */
  readonly hollow?: boolean
}

/** Coloured squares with names, from left to right. */
export function legend(x: number, y: number, entries: readonly LegendEntry[]): string {
  let at = x
  return entries
    .map(({ name, colour, hollow = false }) => {
      const look = { fill: hollow ? 'none' : colour, stroke: colour, 'stroke-width': 1.5 }
      const square = element('rect', { x: at, y: y - 10, width: 11, height: 11, rx: 2, ...look })
      const text = label(at + 17, y, name)
      at += 17 + name.length * 6.6 + 20
      return square + text
    })
    .join('')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
