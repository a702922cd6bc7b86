await import('@coppice/runtime')
export {}
