// Every text that the app says. Another language is another file like this one.
const count = (n, one, many) => `${n.toLocaleString('en')} ${n === 1 ? one : many}`
const photos = (n) => count(n, 'photo', 'photos')
const faces = (n) => count(n, 'face', 'faces')
const days = (n) => count(n, 'day', 'days')
const all = (names) => new Intl.ListFormat('en').format(names)
const time = (options) => (moment) => new Date(moment).toLocaleString('en', options)
const they = (name) => name ?? 'this person'
const brief = (name) => (name?.length > 40 ? `${[...name].slice(0, 40).join('')}…` : name)

// Why a photo could not be taken, and what to do.
const REASONS = {
  unreadable_media: ['The file holds no readable photo.', 'It may be damaged. Add the original.'],
  unreadable_file: ['Your browser cannot read the file.', 'Perhaps it was moved. Choose it again.'],
  unsupported_media_type: ['This file cannot be read', 'Add a JPEG: no videos, no documents.'],
  media_too_large: ['The photo is too large.', 'Save it smaller and add it again.'],
  media_gone: ['The photo is no longer there.', 'Add it again.'],
  media_forbidden: ['The photo may not be read.', 'Tell whoever runs this app.'],
  event_archived: ['The event is archived.', 'A host can open it again.'],
  conflict: ['The event does not take it.', 'Perhaps it is archived: a host can open it again.'],
  unreachable: ['There was no connection.', 'Try again when you are connected.'],
  not_arrived: ['It had not arrived when its page was closed.', 'Choose it again.'],
  timed_out: ['Sending it took too long.', 'Try again with a better connection.'],
}

export const texts = {
  app: 'Memoria', skip: 'Skip to content', back: 'Back', show: 'Show', close: 'Close',
  cancel: 'Cancel', remove: 'Remove', undo: 'Undo', undone: 'Taken back', tryAgain: 'Try again',
  unshown: (kind) => (kind ? `This browser cannot show ${kind}` : 'This photo cannot be shown'),
  offline: 'You are offline. What you see stays; changes can be made when you are connected again.',
  online: 'You are connected again.', wrong: 'That did not work', unnamed: 'No name yet',
  somebody: 'this person', clear: 'Choose none', pick: 'Choose',
  choose: (name) => `Choose ${they(name)}`,
  chosen: (n) => `${n.toLocaleString('en')} chosen`, faces, day: time({ dateStyle: 'medium' }),
  longDay: time({ dateStyle: 'full' }), hour: time({ timeStyle: 'short' }),
  moment: time({ dateStyle: 'medium', timeStyle: 'short' }),
  nav: {
    label: 'Event', events: 'All events',
    people: 'People', review: 'Review', upload: 'Add photos', settings: 'Settings',
  },
  notFound: {
    title: 'Nothing is here', home: 'Go to your events',
    text: 'The address may be wrong, or you may not see this.',
  },

  guest: {
    title: 'Photos of you',
    noLink: 'To see photos of you, open the link or scan the code that your host has given you.',
    consent: [
      `To find photos of you, we compare your selfie with the faces in this event’s photos.
      The selfie and what is computed from it are deleted at once.`,
      `The organiser sees that a search was made and which group of photos it found, for 30 days.`,
      `You need not do this: you can ask your host for the photos instead. After the search you can
      ask to be removed from the event with one tap.`,
    ],
    camera: 'I agree: take a selfie', files: 'I agree: choose pictures of me',
    again: 'Show what was found before',
    look: 'Look into the camera', mirror: 'What your camera sees',
    waitForCamera: 'Allow the camera, please.', turns: [
      'Look straight ahead.', 'Turn your head a little to the left.', 'And a little to the right.',
    ],
    noCamera: 'The camera cannot be used',
    noCameraWhy: 'You can choose up to three pictures of yourself instead.',
    searching: 'Looking for you', searchingWhy: 'This takes a few seconds.',
    found: (n) => `Found ${photos(n)} of you`, open: (n) => `Open photo ${n}`,
    unshown: 'This photo cannot be shown here. Ask your host for it.',
    nobody: 'No photos of you were found',
    nobodyWhy: `Try again in better light, or with up to three pictures of you.
      Perhaps you are in none of the photos.`,
    notYet: 'Some photos are still being looked at. Try again in a few minutes.',
    lookAgain: 'Look again', lookAnew: 'Look again with the same picture',
    another: 'Try another picture', several: 'Which face is yours?',
    severalWhy: 'There are several faces in this picture. Tap yours.',
    yours: 'Your picture', face: (n, of) => `Face ${n} of ${of}`,
    problems: {
      not_found: 'This link is no longer good. Ask your host for a new one.',
      consent_required: 'The text that you agreed to has changed. Ask your host for a new link.',
    },
    wait: (minutes) => ` You can search again in ${count(minutes, 'minute', 'minutes')}.`,
    remove: 'Remove me from this event', removeYes: 'Ask for it',
    removed: 'Your host has been asked.',
    removeWhy: [`Your host is asked to have you forgotten: no photo will be found by your face any
      more. The photos themselves stay.`],
  },

  upload: {
    mayNot: 'You may look at this event, and not add photos to it. A host can let you.',
    archived: 'This event is archived. Open it again in the settings to add photos.',
    drop: 'Drop photos or folders here, or', files: 'Choose photos', folder: 'Choose a folder',
    list: 'Photos on their way', progress: 'Progress', seePeople: 'See the people',
    states: {
      waiting: () => 'waiting', sending: () => 'being sent', looked_at: () => 'being looked at',
      done: (item) => (item.faces ? faces(item.faces) : 'nobody in it'),
    },
    summary: (n, ended, wrong) => {
      if (ended < n) return `${ended} of ${photos(n)}`
      const there = count(n - wrong, 'photo is', 'photos are')
      return n ? `${there} in${wrong ? `, ${wrong} could not be taken` : ''}` : ''
    },
    others: (names) => `${count(names.length, 'file is', 'files are')} no photo and left out:
      ${names.slice(0, 3).join(', ')}${names.length > 3 ? ' …' : ''}`,
    unreadable: (n) => `${count(n, 'file or folder', 'files or folders')} could not be read`,
    notIn: (n) => `${count(n, 'photo is', 'photos are')} not in yet`,
    againAll: 'Try all again', againWith: (name) => `Try again: ${name}`,
    takeAway: (name) => `Take ${name} away`,
    why: ({ code, words, message }) => (code === 'unsupported_media_type'
      ? `${REASONS[code][0]}${message ? `: ${message}` : ''}.`
      : REASONS[code]?.[0] ?? words ?? 'Something went wrong.'),
    remedy: (code) => REASONS[code]?.[1] ?? 'Try it again.',
  },

  events: {
    title: 'Your events', none: 'You have no events yet. Make one, or ask a host to add you.',
    noneAlone: `Try it: make an event and add photos, and see who is in them. Nobody else sees them.
      Without an account they can be seen in this browser alone, until you sign out.`,
    name: 'Name of a new event', create: 'Create',
    roles: { host: 'host', cohost: 'co-host', contributor: 'contributor', viewer: 'viewer' },
    archived: 'archived', until: (day) => `archived on ${day}`,
  },

  settings: {
    title: 'Settings', name: 'Name', save: 'Save', saved: 'Saved',
    onlyHosts: 'Hosts change the settings of this event.', leave: 'Leave this event',
    leaveWhy: ['You will not see its photos any more, until a host adds you again.'],
    people: 'Who may see it', owner: 'made the event', you: 'You',
    noAccount: 'somebody without an account',
    email: 'Email of somebody with an account', add: 'Add', role: 'May',
    roles: {
      viewer: 'look', contributor: 'look and add photos', cohost: 'everything but making hosts',
      host: 'everything',
    },
    addWithAccount: 'Hosts who have an account add others here.',
    added: (email) => `${email} was added`, unknown: 'Nobody has an account with this email.',
    remove: (email) => `Remove ${email}`, removed: (email) => `${email} was removed`,
    links: 'Guests find their photos',
    linksWhy: `Whoever has a link can look for photos of themselves with a selfie, and sees nothing
      else. Make one for each place, so that one can end without the others.`,
    label: 'Where is it for?', days: 'Good for', forDays: days, makeLink: 'Make a link',
    link: 'Link', linkShown: 'Shown once: print or copy it now. Whoever sees it can search.',
    code: (label) => `QR code of the link ${label}`, copy: 'Copy the link', copied: 'Copied',
    noLabel: 'without a name', used: (n, of) => `${n} of ${count(of, 'search', 'searches')}`,
    goodUntil: (day) => `good until ${day}`, revoked: 'ended',
    revoke: 'End', revokeThis: (label) => `End the link ${label}`,
    revokeWhy: ['From this moment on nobody can search with it. This cannot be taken back.'],
    searches: 'Searches by guests', searchesWhy: 'The last 100 searches. No picture is kept.',
    noSearches: 'Nobody has searched yet.', columns: ['When', 'Found', 'Link', 'Guest'],
    byService: 'none: by the service', signedIn: 'none: signed in',
    outcomes: {
      found: 'photos', nobody: 'nobody', begun: 'not finished', person_limit: 'too many people',
      model_changed: 'photos not ready',
    },
    refused: 'no usable picture', person: (n) => `person ${n}`, inPhoto: (n) => `in photo ${n}`,
    wantsOut: 'wants to be forgotten', keeping: 'How long it is kept',
    keepingWhy: 'An archived event keeps photos and names; what recognises faces is deleted.',
    keep: 'Archive it by itself', keepSet: 'on the day below', never: 'never',
    inDays: (n) => `in ${days(n)}`, archiveAt: (day) => `It will be archived on ${day}.`,
    archive: 'Archive now',
    archiveWhy: [`Faces are no longer recognised in this event, and guests cannot search it. Photos,
      people and names stay.`],
    reopen: 'Open it again',
    reopenWhy: `This event is archived. When it is opened again, all photos are looked at anew;
      names and corrections stay.`,
    erase: 'Delete this event', eraseWhy: (n) => [
      `All people, names, corrections and ${photos(n)} are deleted.`, 'This cannot be taken back.'],
  },

  sign: {
    title: 'Welcome', text: 'Sign in to see who is in your photos.',
    email: 'Email', password: 'Password', in: 'Sign in', up: 'Create an account',
    anonymous: 'Try it without an account', out: 'Sign out',
    outWhy: [`This account has no email: nobody can sign in to it again, and its events are lost.`],
    problems: {
      invalid_credentials: 'Email and password do not fit together.',
      email_not_confirmed: 'Open the link in the mail that was sent to you.',
      user_already_exists: 'There is an account with this email. Sign in instead.',
      email_address_invalid: 'This email cannot be used.',
      weak_password: 'The password is too short or too simple.',
      signup_disabled: 'No new accounts can be made here.',
      anonymous_provider_disabled: 'Here one needs an account.',
    },
  },

  naming: {
    add: 'Add a name', field: (name) => `Name of ${they(name)}`,
    named: (name) => (name ? `Named ${brief(name)}` : 'The name is gone'),
    same: (name) => `There is another ${brief(name)}. Are they one person?`, merge: 'Yes, merge',
  },

  peoplePage: {
    search: 'Search by name', nobodyCalled: (name) => `Nobody here is called “${name}”.`,
    hidden: 'Show hidden people', hiddenMark: 'Hidden', empty: 'No people yet',
    emptyText: 'Add photos, and the people in them appear here by themselves.',
    noFaces: 'No faces were found in these photos.',
    tooFew: `Faces were found, but nobody often enough: a person needs 3 photos, or as many as
      MIN_CLUSTER_SIZE says.`,
    all: (people, n) => `${count(people, 'person', 'people')} · ${photos(n)}`,
    looking: (n) => `${count(n, 'photo is', 'photos are')} still being looked at`,
    changed: 'People were found anew.',
    open: (name, n, hidden) => `${name ?? 'No name yet'}, ${faces(n)}${hidden ? ', Hidden' : ''}`,
    merge: 'Merge', merged: (n) => `${n} people are one now`, whichName: 'Which name stays?',
    together: 'Together', hide: 'Hide', hid: (n) => `${count(n, 'person is', 'people are')} hidden`,
  },

  together: {
    title: (names) => `Photos with ${all(names)}`, photo: (n) => `Photo ${n}`,
    none: 'There is no photo of all of them together.', whom: 'Whose photos?',
    nobody: 'Nobody is chosen: choose people, and then “Together”.', choose: 'Choose people',
  },

  person: {
    questions: (n) => count(n, 'question', 'questions'), history: 'History',
    photosOf: (name) => `Photos of ${they(name)}`, choosePhoto: (n) => `Choose photo ${n}`,
    photo: (n, name) => `Photo ${n} of ${they(name)}`, hide: 'Hide',
    none: 'There is no photo of this person any more.', hid: 'Hidden from the people page',
    showAgain: 'Show again', shown: 'Shown on the people page again',
    mergeWith: 'Merge with…', mergeTitle: (name) => `Who else is ${they(name)}?`,
    merged: 'They are one person now', reject: (name) => `Not ${they(name)}`,
    download: 'Download all', downloading: (n, of) => `Downloading ${n} of ${of}`,
    downloaded: (n) => `${photos(n)} downloaded`,
    missing: (n) => `${photos(n)} could not be downloaded`,
    cover: 'Use as cover', covered: 'This is the cover now', split: 'Someone else',
    wasSplit: (n) => `${count(n, 'photo is', 'photos are')} another person now`,
    rejected: (n, name) => `${count(n, 'photo shows', 'photos show')} ${they(brief(name))} no more`,
    forget: 'Forget…', forgetTitle: (name) => `Forget ${they(name)} for good?`,
    forgetText: (n) => [
      `What the app knows of ${faces(n)} is deleted. The photos themselves stay.`,
      'New photos of the same person will show up as somebody new.', 'This cannot be undone.',
    ],
    forgetYes: 'Forget for good', forgotten: 'Forgotten',
  },

  picker: {
    search: 'Type a name', list: 'People', none: 'Nobody is called that yet.',
    fresh: (name) => `“${name}” is somebody new`,
  },

  photo: {
    alt: (names) => (names.length ? `Photo of ${all(names)}` : 'Photo'), people: 'In this photo',
    states: {
      completed: 'No faces were found in this photo.', failed: 'This photo could not be looked at.',
      pending: 'This photo is still being looked at.',
    },
    previous: 'Previous photo', next: 'Next photo', faces: 'Show faces', download: 'Download',
    who: 'Who is this?', unknown: '?',
    isFace: (name, n) => (name ? `${name}: change` : `Who is this? Face ${n}: give a name`),
    allOf: (name) => `All photos of ${they(name)}`,
    not: (name) => `Not ${they(name)}`, noFaceSaid: 'Not a face',
    notSaid: (name) => `This is not ${brief(name) ?? 'that person'}`, noFace: 'This is not a face',
    isNow: (name) => `This is ${brief(name) ?? 'that person'}`, all: (n) => `All ${faces(n)}`,
    draw: 'Add a face', drawBox: 'Box around the face', goOn: 'Continue',
    drawText: `Draw a box around the face. By keyboard: arrows move the box, Shift and arrows change
      its size, Enter goes on.`,
    drawn: 'The face was added',
  },

  review: {
    title: 'Review', progress: (n, of) => `${n} of ${of}`,
    same: 'Is this the same person?', who: 'Who is this?', none: 'All done',
    noneText: 'There is nothing to ask right now. New questions may come with new photos.',
    yes: 'Same person', no: 'Different people', nobodyPerson: 'A statue or poster',
    noneOf: 'None of them', someone: 'Somebody else…', nobodyFace: 'Not important',
    notSure: 'Not sure', keys: 'Keys: S same, D different, N not sure, Z undo',
    keysWho: 'Keys: 1 to 9 choose, D none of them, N not sure, Z undo',
    named: 'Named', later: 'Asked again later', never: 'Not asked again',
    gone: 'That question is settled already.', nothingToUndo: 'There is nothing to take back.',
    look: (n, name) => `See the whole photo, ${n} of ${they(name)}`, whole: 'The whole photo',
  },

  history: {
    title: 'History', of: (name) => `History of ${they(name)}`, none: 'Nothing has happened yet.',
    byRun: 'The app', byUser: 'You', byOther: 'Another host',
    takenBack: 'Taken back', older: 'Show older', undoThis: (what) => `Undo: ${what}`,
    kinds: {
      renamed: ({ name, before }) => {
        if (!name) return `took the name ${before} away`
        return before ? `renamed ${before} to ${name}` : `named somebody ${name}`
      },
      hidden: ({ who }) => `hid ${who}`, shown: ({ who }) => `showed ${who} again`,
      cover: ({ who }) => `chose a cover for ${who}`,
      assigned: ({ who, n }) => `put ${faces(n)} to ${who}`,
      rejected: ({ who, n }) => `said that ${count(n, 'face is', 'faces are')} not ${who}`,
      merged: ({ who, n }) => `merged ${count(n, 'person', 'people')} with ${who}`,
      split: ({ other, n }) => `made ${faces(n)} of ${other} somebody else`,
      told_apart: ({ who, other }) => `said that ${who} and ${other} are different people`,
      drawn: () => 'added a face by hand', no_face: () => 'said that something is not a face',
      nobody: () => 'said that a face is not important',
      not_sure: () => 'was not sure about a question',
      undone: () => 'took something back', forgotten: () => 'forgot somebody for good',
      new: ({ who, n }) => `found ${faces(n)} of ${who}`,
      moved: ({ who, n }) => `moved ${faces(n)} to ${who}`,
      returned: ({ who }) => `found ${who} again`,
      emptied: ({ who }) => `finds ${who} in no photo any more`,
      gone: () => 'let go of somebody without photos',
    },
    other: 'changed something',
  },
}
