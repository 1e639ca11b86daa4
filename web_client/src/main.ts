// SPDX-License-Identifier: AGPL-3.0-or-later
/** Wires the page. */
import { onLaterKey, refusedBecause } from './signin';
import {
  base64ToAudioBuffer,
  connectPlayer,
  evalStrudelCode,
  generateMusic,
  generateStem,
  playGeneratedAudio,
  registerSample,
} from './api';
import { change } from './confirm';
import { Connection } from './connection';
import type { Offered } from './editor/completion';
import { saysKey, saysTempo, storedCycle, Tempo } from './editor/tempo';
import { EXAMPLE } from './example';
import { loadDetails } from './details';
import { Outlines } from './peaks';
import { slotUrls, type GenerateRequest, type Sound } from './protocol';
import { promptOf, Requests } from './requests';
import { isMakeable, Samples } from './samples';
import { openSets } from './sets';
import { Awake } from './sound/awake';
import { storeBudget, storedBudget } from './sound/budget';
import { Warming } from './sound/warm';
import { Stream } from './stream';
import { StrudelPlayer } from './strudel';
import { askPerson } from './ui/confirm';
import { byId } from './ui/dom';
import { JobList } from './ui/jobs';
import { MemoryBox } from './ui/memory';
import { PromptBox } from './ui/prompt';
import { SoundList } from './ui/soundlist';
import { ConnectionStatus, StatusLine } from './ui/status';
import { facts } from './ui/soundrow';
import { StreamBox } from './ui/streambox';
import { TempoButton } from './ui/tempo';
import { Transport } from './ui/transport';
import { Watcher } from './ui/waveform';
import { ServerVersion } from './updated';
import { Wishes } from './wishes';

/** For code in the editor, and for scripts next to the page. */
const functions = {
  generateMusic,
  generateStem,
  playGeneratedAudio,
  base64ToAudioBuffer,
  registerSample,
  evalStrudelCode,
};

/** Kept sounds of the pattern have this long to load before its first event; the rest begins inside. */
const LONGEST_START_MS = 400;
/** Of the memory for sounds, what sounds that were never played may take. */
const WARM_SHARE = 0.25;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
let loaded: Promise<void> = Promise.resolve();

const status = new StatusLine(byId('status'));
const problem = (message: string): void => status.say(message, true);

let begun: (all: Promise<unknown>) => void = () => undefined;
/** For tests, the console, and scripts next to the page; they hear of each sound by the event `sample-bridge.sound`, and
 * of what the code names and cannot have by `sample-bridge.trouble` ({ find: the text in the code, message }).
 * `ready` is there at once, the rest (below) with it. */
const sampleBridge = { ready: new Promise<unknown>((resolve) => (begun = resolve)).then(() => undefined) };
Object.assign(globalThis, { sampleBridge });

const sets = await openSets({
  status,
  root: byId('sets'),
  example: EXAMPLE,
  setCode: (code) => player.setCode(code),
  focus: () => player.focus(),
});
/** What scripts and other parts of the page have evaluated; the code in the editor when they say none. */
async function evaluate(code?: string): Promise<void> {
  if (code !== undefined) sets.replacing(code);
  await player.evaluate(code);
}

let stopListening = (): void => undefined;
const player: StrudelPlayer = new StrudelPlayer({
  root: byId('editor'),
  code: sets.current.code,
  scope: functions,
  onCode: (code) => sets.edited(code),
  beforeEvaluate: (code) => sets.evaluating(code),
  onEvaluated: (names) => {
    player.tryAgain();
    loaded = samples.use(names);
    tempo.playing(player.code, player.cps);
    requests.evaluated(names);
  },
  offered: (): Offered[] => samples.list().flatMap(offered),
  listen: (name) => {
    const url = slotUrls(samples.find(name)?.urls ?? [], 0)[0];
    stopListening();
    if (url) stopListening = player.preview(url, () => undefined);
  },
  beforeStart: () => Promise.race([loaded, pause(LONGEST_START_MS)]),
  onPlaying: (playing) => {
    transport.show(playing);
    if (playing) awake.watch(document);
  },
  onProblem: (message) => status.say(message, message !== ''),
  onMention: (message) => status.mention(message),
  onTrouble: (find, message) => {
    document.dispatchEvent(new CustomEvent('sample-bridge.trouble', { detail: { find, message } }));
  },
  onHealed: (message) => status.takeBack(message),
  audioBudget: storedBudget(),
});
connectPlayer({
  registerSample: (name, buffer) => player.registerBuffer(name, buffer),
  evaluate,
});

const awake = new Awake({
  context: () => player.context,
  isPlaying: () => player.playing,
  resume: () => player.wake(),
  onAsleep: problem,
  onAwake: (message) => status.takeBack(message),
});
const serverVersion = new ServerVersion();
const outlines = new Outlines();
const list = new SoundList(byId('sounds'), {
  preview: (url, onEnded) => player.preview(url, onEnded),
  loadOutline: (url) => outlines.load(url),
  watcher: new Watcher(),
  remove: (name) => void remove(name),
  details: {
    load: loadDetails,
    another: (sound) => void another(sound),
    rename: (name, to) => void rename(name, to),
    pin,
  },
});
const samples = new Samples(player, {
  onReset: (sounds) => {
    list.reset(sounds);
    void warming.start(sounds);
  },
  onChange: (name, sound) => {
    for (const made of sound ? [name, ...sound.aliases] : []) {
      player.editor.settled(made);
      requests.settled(made);
    }
    if (sound) wishes.came(sound);
    list.change(name, sound);
    document.dispatchEvent(new CustomEvent('sample-bridge.sound', { detail: { name, sound } }));
  },
});
new MemoryBox(byId('memory'), {
  memory: () => player.audioMemory,
  change: (bytes) => {
    player.audioBudget = bytes;
    storeBudget(bytes);
  },
});
const warming = new Warming({
  load: (url) => player.warm(url, player.audioMemory.budget * WARM_SHARE),
  idle: () => new Promise((resolve) => (globalThis.requestIdleCallback ?? setTimeout)(() => resolve())),
});
const wishes = new Wishes({
  find: (name) => samples.find(name),
  say: (message, isError, fades) => status.say(message, isError, fades),
  takeBack: (message) => status.takeBack(message),
});

const transport = new Transport(byId('transport'), {
  evaluate: () => void player.evaluate(),
  stop: () => player.stop(),
  silence: () => {
    stream.stop();
    void player.silence();
  },
});
const jobs = new JobList(byId('jobs'), (jobId) => {
  void connection.cancel(jobId).then((error) => error && problem(error.message));
});
const tempoButton = new TempoButton(byId('transport'), () => tempo.turn());
const tempo = new Tempo((shown) => {
  tempoButton.show(shown);
  prompt.offer({ bpm: shown.bpm, key: tempo.key });
}, storedCycle(localStorage, () => sets.current.id));
const prompt = new PromptBox(byId('promptbox'), { generate, leave: () => player.focus() });
const stream = new Stream(location.origin.replace(/^http/, 'ws'), {
  context: () => player.context,
  output: () => player.input,
  onState: (playing, error) => {
    streamBox.show(playing);
    if (error) problem(error);
  },
});
const streamBox = new StreamBox(byId('promptbox'), byId('prompt') as HTMLInputElement, {
  start: (words) => {
    const { bpm = saysTempo(words) ? undefined : tempo.bpm, key = saysKey(words) ? undefined : tempo.key } = prompt.typed;
    void stream.start({ prompt: words, ...(bpm === undefined ? {} : { bpm }), ...(key === undefined ? {} : { key }) });
  },
  stop: () => stream.stop(),
});
const connectionStatus = new ConnectionStatus(byId('connection'), () => connection.open());

let settle = (): void => undefined;
const settled = new Promise<void>((resolve) => (settle = resolve));
const connection = new Connection({
  ...fromAddress(),
  onState: (state, why) => {
    connectionStatus.show(state, why);
    if (state === 'online') {
      requests.online();
      player.tryAgain();
      outlines.again();
    } else {
      jobs.clear();
      wishes.interrupt();
    }
    if (state !== 'connecting') settle();
  },
  onServer: (server) => {
    connectionStatus.showServer(server);
    const updated = serverVersion.seen(server.version);
    if (updated) status.offer(updated, 'Reload', () => location.reload());
  },
  onReset: (sounds) => {
    // The names in the editor are likely to be played first.
    if (!player.playing) void samples.use(player.code.toLowerCase().match(/[a-z0-9_]+/g) ?? []);
    samples.reset(sounds);
  },
  onSound: (sound) => void samples.push(sound),
  onSoundRemoved: (name) => samples.remove(name),
  onJob: (job) => {
    if (job.state === 'failed' || job.state === 'cancelled') requests.settled(job.name);
    jobs.update(job);
    wishes.update(job);
  },
  onSession: (session) => tempo.shared(session),
});
const requests = new Requests({
  knows: (name) => samples.find(name) !== undefined || player.knows(name),
  placeholder: (name) => player.placeholder(name),
  generate: (request) => connection.generate(request),
  isOnline: () => connection.state === 'online',
  bpm: () => tempo.bpm,
  onProblem: problem,
  onTrouble: (name, message) => player.editor.trouble(name, message),
  onMistyped: (name, message, nearest) => {
    const make = (): void => {
      player.editor.settled(name);
      requests.makeAnyway(name);
    };
    player.editor.trouble(name, message, nearest, [{ label: 'Make it anyway (Alt-A)', run: make, byKey: true }]);
  },
  canCut: (name) => samples.find(name)?.standin === false,
  cut: async (name, n) => {
    const cut = await change('POST', `/sounds/${encodeURIComponent(name)}/slices?n=${n}`, undefined, askPerson);
    return cut.done ? null : cut.why;
  },
});

async function generate(request: GenerateRequest): Promise<string | null> {
  const before = connection.since ?? 0;
  const name = request.prompt.toLowerCase();
  // A name is the sound of that name, not one called after it.
  const called = isMakeable(name) ? { name, prompt: promptOf(name) } : {};
  const kept = isMakeable(name) ? samples.find(name) : undefined;
  if (kept) return `${name} is here already: ${kept.strudel}. Use other words for another sound.`;
  const hint = tempo.bpm === undefined || request.bpm !== undefined ? {} : { hint_bpm: tempo.bpm };
  const answer = await connection.generate({ ...request, ...called, ...hint });
  if (!answer.ok) return answer.error.message;
  const near = answer.reply.nearest ?? [];
  if (near.length > 0) status.mention(`${answer.reply.name} is close to ${near.join(' and ')}, which you have.`);
  wishes.taken(answer.reply, before);
  return null;
}

async function remove(name: string): Promise<void> {
  const path = `/sounds/${encodeURIComponent(name)}`;
  const changed = await change('DELETE', path, undefined, askPerson);
  if (!changed.done) {
    if (changed.why) problem(changed.why);
    return;
  }
  if (changed.document['undo'] === null) {
    status.say(`${name} is deleted for good: there was no room to keep it.`);
    return;
  }
  status.offer(`${name} is deleted.`, 'Undo', () => {
    void change('PATCH', path, { deleted: false }, askPerson).then((back) => {
      status.say(back.done ? `${name} is back.` : back.why, !back.done);
    });
  });
}

/** One more take of the words that a sound was made of: a further slot of its name. */
async function another({ name, prompt, kind, bpm, key, bars }: Sound): Promise<void> {
  const before = connection.since ?? 0;
  const given = { ...(bpm === null ? {} : { bpm }), ...(key === null ? {} : { key }), ...(bars === null ? {} : { bars }) };
  const answer = await connection.generate({ prompt: prompt || promptOf(name), name, kind, fresh: true, ...given });
  if (answer.ok) wishes.taken(answer.reply, before);
  else problem(answer.error.message);
}

async function rename(name: string, to: string): Promise<void> {
  const changed = await change('PATCH', `/sounds/${encodeURIComponent(name)}`, { name: to }, askPerson);
  if (changed.done) status.say(`${name} is ${String(changed.document['name'] ?? to)} now; the old name still plays.`);
  else if (changed.why) problem(changed.why);
}

async function pin(name: string, pinned: boolean): Promise<void> {
  const changed = await change('PATCH', `/sounds/${encodeURIComponent(name)}`, { pinned }, askPerson);
  if (!changed.done && changed.why) problem(changed.why);
}

/** A sound as the completion of the code shows it, under each name that somebody may type. */
function offered(sound: Sound): Offered[] {
  const [, ...more] = facts(sound);
  const names = [sound.name, ...sound.aliases.filter((alias) => !alias.startsWith('musicgen_'))];
  return names.map((name) => ({ name, kind: sound.kind, facts: more.slice(0, 2).join(' · ') }));
}

/** `?session=name` joins a session. */
function fromAddress(): { session?: string } {
  const session = new URLSearchParams(location.search).get('session');
  return session ? { session } : {};
}

for (const gesture of ['pointerdown', 'keydown']) {
  document.addEventListener(gesture, () => void player.wake(), { once: true, capture: true });
}
// Signed in or not, the page listens; without the key it plays what there is.
if (refusedBecause) problem(refusedBecause);
connection.open();
onLaterKey((why) => {
  if (why) problem(why);
  else connection.reopen();
});

const scripted = {
  ...functions,
  connectPlayer,
  evaluate,
  stop: () => player.stop(),
  silence: () => player.silence(),
  sounds: () => samples.list(),
  /** Decoded audio: bytes that are used, and bytes that are kept at most. */
  get audioMemory() {
    return player.audioMemory;
  },
  /** What the audio goes through last. */
  audio: () => ({ context: player.context, output: player.output }),
  get state() {
    return connection.state;
  },
  get since() {
    return connection.since;
  },
};
Object.defineProperties(sampleBridge, Object.getOwnPropertyDescriptors(scripted));
begun(Promise.all([player.ready, settled]));
