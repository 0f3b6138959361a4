// What every page of the hosts' app is made of.
export * from './act.js'
export * from './dom.js'
export * from './kinds.js'
export * from './names.js'
export * from './photos.js'
export * from './router.js'
export * from './session.js'
export * from './texts.js'
