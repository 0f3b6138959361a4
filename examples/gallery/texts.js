// Every text that the app says. Another language is another file like this one.
const count = (n, one, many) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`

export const texts = {
  app: 'Memoria',
  close: 'Close',
  cancel: 'Cancel',
  undo: 'Undo',
  undone: 'Undone',
  tryAgain: 'Try again',
  skip: 'Skip to content',
  back: 'Back',
  offline: 'You are offline. What you see stays; changes can be made when you are connected again.',
  online: 'You are connected again.',
  wrong: 'That did not work',
  loading: 'Loading',
  unnamed: 'Someone without a name',
  somebody: 'someone',
  photos: (n) => count(n, 'photo', 'photos'),
  people: (n) => count(n, 'person', 'people'),
  nav: { label: 'Event', people: 'People', review: 'Review', upload: 'Add photos', settings: 'Settings', events: 'All events' },
  notFound: { title: 'Nothing is here', text: 'The address may be wrong, or you may not see this.', home: 'Go to your events' },

  sign: {
    title: 'Welcome',
    text: 'Sign in to see who is in your photos.',
    email: 'Email',
    password: 'Password',
    in: 'Sign in',
    up: 'Create an account',
    anonymous: 'Look around without an account',
    out: 'Sign out',
    refused: 'Email and password do not fit together.',
  },
}
