// SPDX-License-Identifier: AGPL-3.0-or-later
/** Numbered events in their order: each once, none left out. Knows no socket. */
import type { Head, HelloReply, HelloRequest, NumberedEvent, Sound } from './protocol';

/** The receivers of the events, in order. */
export interface Receiver {
  /** Everything again: what is not in `sounds` is gone. */
  reset(sounds: Sound[]): void;
  event(event: NumberedEvent): void;
}

/** More waiting events than this are not worth sorting: the page asks for everything instead. */
const MOST_WAITING = 5000;

/**
 * The watermark is the last number up to which nothing is missing. It moves over contiguous numbers only.
 * While a hello is under way, and behind a gap, events wait.
 */
export class Sequence {
  private epoch: string | null = null;
  private mark: number | null = null;
  private asking = false;
  /** The furthest head that was announced while a hello was under way. */
  private announced: Head | null = null;
  private readonly waiting = new Map<number, NumberedEvent>();

  constructor(private readonly receiver: Receiver) {}

  /** The last number up to which nothing is missing; null before the first answer. */
  get since(): number | null {
    return this.mark;
  }

  /** What the next hello says. Until its answer is given to `answer`, events wait. */
  ask(): HelloRequest {
    this.asking = true;
    this.announced = null;
    return this.epoch === null || this.mark === null ? {} : { epoch: this.epoch, since: this.mark };
  }

  /** The hello came to nothing, or the connection is lost: what waited will be sent again. */
  interrupt(): void {
    this.asking = false;
    this.waiting.clear();
  }

  /** The next hello gets everything. */
  forget(): void {
    this.epoch = null;
    this.mark = null;
    this.waiting.clear();
  }

  /** Takes one pushed event. False when a hello is needed to fill a gap. */
  receive(event: NumberedEvent): boolean {
    this.waiting.set(event.seq, event);
    if (this.asking) return true;
    if (this.mark !== null) this.drain(this.mark);
    if (this.waiting.size > MOST_WAITING) this.forget();
    return this.mark !== null && this.waiting.size === 0;
  }

  /** True when the server's head says that something was missed. While a hello is under way its answer decides. */
  isBehind(head: Head): boolean {
    if (this.asking) {
      this.announced = head;
      return false;
    }
    return head.epoch !== this.epoch || this.mark === null || head.head > this.mark;
  }

  /** Takes the answer to a hello. False when it did not bring everything up to its head: ask again. */
  answer(reply: HelloReply): boolean {
    this.asking = false;
    if (reply.reset) {
      this.epoch = reply.epoch;
      this.mark = reply.head;
      this.receiver.reset(reply.sounds);
    } else if (reply.epoch !== this.epoch || this.mark === null) {
      this.forget();
      return false;
    } else {
      for (const event of reply.events) this.waiting.set(event.seq, event);
    }
    const before = this.mark;
    this.drain(before);
    const behind = this.announced !== null && this.isBehind(this.announced);
    const complete = this.mark >= reply.head && !behind && this.waiting.size === 0;
    // Neither complete nor a step forward: the log has a hole, so only everything helps.
    if (!complete && !behind && !reply.reset && this.mark === before) this.forget();
    return complete;
  }

  private drain(mark: number): void {
    for (const seq of [...this.waiting.keys()]) if (seq <= mark) this.waiting.delete(seq);
    let next = this.waiting.get(mark + 1);
    while (next) {
      this.waiting.delete(next.seq);
      // First the watermark: a receiver that throws must not get the event twice.
      this.mark = next.seq;
      this.receiver.event(next);
      next = this.waiting.get(next.seq + 1);
    }
  }
}
