// SPDX-License-Identifier: AGPL-3.0-or-later
/** What was asked for in the prompt box: the status line tells of it from the answer to its end. */
import { hasEnded, type GenerateReply, type Job, type JobState, type Sound } from './protocol';

export interface WishesOptions {
  find: (name: string) => Sound | undefined;
  /** `fades`: the line need not keep it. */
  say: (message: string, isError?: boolean, fades?: boolean) => void;
  /** Empties the line if it still shows this message. */
  takeBack: (message: string) => void;
}

/** So many ends are remembered for answers that come after them. */
const MOST_ENDS = 64;

const making = (name: string): string => `Making ${name} …`;

export class Wishes {
  /** job_id -> name, the oldest first */
  private readonly waiting = new Map<string, string>();
  private readonly ends = new Map<string, JobState>();

  constructor(private readonly options: WishesOptions) {}

  /** The bridge took the wish; `since` is the number of the last event before it was asked. */
  taken({ job_id, name, state }: GenerateReply, since: number): void {
    const sound = this.options.find(name);
    // A quick engine's sound comes before the answer.
    if (sound && !sound.standin && (state === 'completed' || sound.seq > since)) {
      this.options.say(`Ready: ${sound.strudel}`);
      return;
    }
    this.waiting.set(job_id, name);
    this.options.say(making(name), false, false);
    const end = this.ends.get(job_id);
    if (end) this.end(job_id, end);
  }

  /** A sound is playable now. */
  came(sound: Sound): void {
    if (sound.standin) return;
    const names = [sound.name, ...sound.aliases];
    const found = [...this.waiting].find(([, name]) => names.includes(name));
    if (!found) return;
    this.waiting.delete(found[0]);
    this.options.say(`Ready: ${sound.strudel}`);
  }

  /** News of any job. */
  update(job: Job): void {
    if (!hasEnded(job.state)) return;
    this.ends.set(job.job_id, job.state);
    const oldest = this.ends.keys().next();
    if (this.ends.size > MOST_ENDS && !oldest.done) this.ends.delete(oldest.value);
    this.end(job.job_id, job.state);
  }

  /** The connection is lost: what is being made is unknown, but the sounds may still come. */
  interrupt(): void {
    for (const name of this.waiting.values()) this.options.takeBack(making(name));
  }

  private end(jobId: string, state: JobState): void {
    const name = this.waiting.get(jobId);
    if (name === undefined) return;
    if (state === 'completed') {
      const sound = this.options.find(name);
      // Otherwise it is being loaded, and comes.
      if (sound && !sound.standin) this.came({ ...sound, aliases: [name] });
      return;
    }
    this.waiting.delete(jobId);
    // The list of jobs says why, and keeps it.
    if (state === 'failed') this.options.say(`${name} was not made.`, true);
    else this.options.say(`${name} is cancelled.`);
  }
}
