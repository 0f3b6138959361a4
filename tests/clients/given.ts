// What the pages' snippets take for granted.
import { createClient } from '@supabase/supabase-js'
declare const process: { env: Record<string, string>, exit(code: number): never }
const app = JSON.parse(process.env.APP)
const supabase = createClient(app.url, app.key, {
  auth: { persistSession: false }, global: { headers: { Authorization: `Bearer ${app.accessToken}` } },
})
const logged: unknown[][] = []
console.log = (...said: unknown[]) => void logged.push(said)
const { event, person, token, searchUrl } = app
const { person_id } = person
const eventId: string = event.id, previewUrl = 'https://app.example/a.jpg'
const photo = { id: 'a new photo', path: '0.jpg' }
const reload = (news: unknown) => console.log(news)
const selfie = new Blob([Uint8Array.from(app.selfie.match(/../g), (byte: string) => parseInt(byte, 16))])
const element = { style: {} } as HTMLElement
const image = { width: 600, height: 400 } as HTMLImageElement
const canvas = { width: 9, height: 9, getContext: () => ({ drawImage: () => {} }) } as unknown as HTMLCanvasElement
void [eventId, previewUrl, photo, person_id, reload, selfie, element, image, canvas, token, searchUrl]
