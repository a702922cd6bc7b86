// Tables in Markdown, and numbers as people read them.

/** Columns after the first `left` ones are numbers, to the right. */
export function markdownTable(headings: readonly string[], rows: readonly (readonly string[])[], left = 1): string {
  const widths = headings.map((heading, i) => Math.max(heading.length, 3, ...rows.map((row) => row[i]!.length)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i < left ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`
  const rule = `| ${widths.map((width, i) => (i < left ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [line(headings), rule, ...rows.map(line)].join('\n')
}

export function whole(n: number): string {
  return Math.round(n).toLocaleString('en')
}

/** Three digits that matter. */
export function short(n: number): string {
  if (!Number.isFinite(n)) return '-'
  return n >= 100 ? whole(n) : n.toPrecision(n < 0.1 ? 2 : 3)
}
