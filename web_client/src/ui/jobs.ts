// SPDX-License-Identifier: AGPL-3.0-or-later
import { hasEnded, type Job } from '../protocol';
import { arrange, el } from './dom';

const MOST_ROWS = 4;

/** "about 4 s left", "about 2 min left". */
export function remaining(seconds: number | null): string {
  if (seconds === null || seconds < 0) return '';
  if (seconds < 1) return 'nearly there';
  return seconds < 90 ? `about ${Math.ceil(seconds)} s left` : `about ${Math.round(seconds / 60)} min left`;
}

interface Row {
  job: Job;
  element: HTMLElement;
  update: (job: Job) => void;
}

/** What is being made, and what failed until it is dismissed. */
export class JobList {
  private readonly rows = new Map<string, Row>();
  private readonly list = el('ul', { className: 'jobs', aria: { label: 'Being made' } });
  private readonly rest = el('p', { className: 'rest', hidden: true });

  constructor(
    root: HTMLElement,
    private readonly cancel: (jobId: string) => void,
  ) {
    root.append(this.list, this.rest);
  }

  update(job: Job): void {
    const known = this.rows.get(job.job_id);
    if (job.state === 'completed' || job.state === 'cancelled') this.rows.delete(job.job_id);
    // What failed before this page was opened is not its news.
    else if (known) known.update(job);
    else this.rows.set(job.job_id, this.row(job));
    this.render();
  }

  /** Forgets what runs: after a loss of the connection it is unknown. */
  clear(): void {
    for (const [id, { job }] of this.rows) if (!hasEnded(job.state)) this.rows.delete(id);
    this.render();
  }

  private render(): void {
    // Failures first, then what runs, then what waits.
    const rank = ({ job }: Row): number => ({ failed: 0, running: 1 })[job.state as 'failed' | 'running'] ?? 2;
    const rows = [...this.rows.values()].sort((a, b) => rank(a) - rank(b));
    arrange(
      this.list,
      rows.slice(0, MOST_ROWS).map(({ element }) => element),
    );
    const hidden = rows.length - MOST_ROWS;
    this.rest.hidden = hidden <= 0;
    this.rest.textContent = `and ${hidden} more in the queue`;
  }

  private row(first: Job): Row {
    const label = el('span', { className: 'name' });
    const state = el('span', { className: 'state' });
    const bar = el('progress', { max: 1, aria: { label: `Progress of ${first.name}` } });
    const button = el('button', { type: 'button' });
    const element = el('li', { className: 'job' }, label, state, button, bar);
    const row: Row = {
      job: first,
      element,
      update: (job) => {
        row.job = job;
        const failed = job.state === 'failed';
        element.dataset.state = job.state;
        label.textContent = job.name;
        state.textContent = failed ? (job.error?.message ?? 'It failed.') : stateText(job);
        bar.hidden = failed;
        // Without a value the bar moves to and fro: waiting.
        if (job.state === 'queued') bar.removeAttribute('value');
        else bar.value = job.progress;
        button.textContent = failed ? 'Dismiss' : 'Cancel';
        button.setAttribute('aria-label', `${button.textContent} ${job.name}`);
        button.onclick = () => {
          if (!failed) {
            this.cancel(job.job_id);
            return;
          }
          this.rows.delete(job.job_id);
          this.render();
        };
      },
    };
    row.update(first);
    return row;
  }
}

function stateText(job: Job): string {
  if (job.state === 'queued') return 'waiting';
  return remaining(job.eta_s) || `${Math.round(job.progress * 100)} %`;
}
