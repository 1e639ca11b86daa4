
'use strict';
/* SPDX-License-Identifier: AGPL-3.0-or-later
 * Says yes for nobody but a person who sees this document. The page around it may be full of somebody's code: it may
 * cover, hide, shrink or move the frame, give it the focus while somebody types, or bring it under a cursor that is
 * about to click. So a yes counts only after all of this has been seen for a moment, stays seen for another, and comes
 * from a pointer or a focus that was here before. The button stands somewhere else each time, and a click beside it is a
 * no: whoever leads a click here without its owner's eyes has to guess. */
(() => {
  const SEEN_MS = 600; // before a yes
  const HERE_MS = 300; // a pointer in a frame that stood still
  const AFTER_MS = 250; // after a yes
  const STILL_PX = 2;
  const { secret, seconds } = JSON.parse(document.getElementById('given').textContent);
  const [dialog, yes, no, said, typed] = ['dialog', 'yes', 'no', 'said', 'typed'].map((id) => document.getElementById(id));
  // Only the newest browsers can tell whether something lies over a frame. In others whoever answers has to read.
  const canTell = 'isVisible' in IntersectionObserverEntry.prototype;
  const random = (count) => crypto.getRandomValues(new Uint32Array(1))[0] % count;
  const digits = String(random(10000)).padStart(4, '0');
  const [row, column] = [1 + random(4), 1 + random(3)];
  yes.style.gridArea = `${row} / ${column}`;
  const now = () => performance.now();
  let seen = Infinity; // since when all of this is seen
  let here = Infinity; // since when the pointer is in the frame, and the frame where it is
  let focused = document.hasFocus() ? now() : Infinity;
  let place = null;
  let pressed = false;
  let over = false;

  const tell = (message) => parent.postMessage({ type: 'sample-bridge.confirm', ...message }, location.origin);
  const end = (message) => {
    if (over) return;
    over = true;
    tell(message);
  };
  const isSeen = () => now() - seen >= SEEN_MS && parent === top && devicePixelRatio >= 0.5;
  const show = () => yes.setAttribute('aria-disabled', String(!isSeen()));
  const look = (visible) => {
    if (visible && seen === Infinity) seen = now();
    if (!visible) seen = Infinity;
    show();
    if (visible) setTimeout(show, SEEN_MS + 20);
  };
  /** Too early: everything begins again. */
  const again = () => {
    if (seen !== Infinity) seen = now();
    show();
    setTimeout(show, SEEN_MS + 20);
    said.textContent = 'One moment: read it first, then answer.';
  };

  const watching = new IntersectionObserver(
    (entries) => {
      const last = entries[entries.length - 1];
      look(last.intersectionRatio >= 0.99 && (!canTell || last.isVisible));
    },
    { threshold: [0, 0.5, 0.99, 1], ...(canTell ? { trackVisibility: true, delay: 100 } : {}) },
  );
  watching.observe(dialog);
  // A browser that is busy may judge too early, and says nothing more until something changes.
  setInterval(() => {
    if (seen !== Infinity) return;
    watching.unobserve(dialog);
    watching.observe(dialog);
  }, 500);
  document.addEventListener('visibilitychange', () => document.hidden && look(false));
  addEventListener('focus', () => {
    focused = now();
    if (document.activeElement === document.body) no.focus();
  });
  addEventListener('blur', () => (focused = Infinity));

  const point = (event) => {
    if (!event.isTrusted || event.pointerType !== 'mouse') return;
    const at = [event.screenX - event.clientX, event.screenY - event.clientY];
    if (place === null || at.some((value, i) => Math.abs(value - place[i]) > STILL_PX)) here = now();
    place = at;
  };
  document.addEventListener('pointerover', point, true);
  document.addEventListener('pointermove', point, true);
  document.documentElement.addEventListener('pointerleave', () => (place = null));

  document.addEventListener(
    'pointerdown',
    (event) => {
      point(event);
      pressed = event.isTrusted && event.target === yes && isSeen() && (event.pointerType !== 'mouse' || now() - here >= HERE_MS);
      if (!pressed && event.target !== no && event.target !== typed) again();
    },
    true,
  );
  document.addEventListener(
    'keydown',
    (event) => {
      if (event.key === 'Escape') return end({ done: false });
      if (event.repeat) return event.preventDefault();
      // Somebody who types means something else.
      if (event.key.length === 1 && event.key !== ' ' && event.target !== typed) again();
    },
    true,
  );
  document.getElementById('place').onclick = (event) => {
    if (event.isTrusted && event.target !== yes) end({ done: false });
  };
  no.onclick = () => end({ done: false });
  yes.onclick = (event) => {
    // Without a pointer: a key, or a screen reader.
    const meant = event.detail === 0 ? isSeen() && now() - focused >= SEEN_MS : pressed;
    pressed = false;
    if (!event.isTrusted || over) return;
    if (!meant) return again();
    if (!canTell && typed.value.trim() !== digits) {
      if (typed.value.length === 4) return end({ done: false });
      said.textContent = 'Type the four digits first.';
      return typed.focus();
    }
    const since = seen;
    setTimeout(() => {
      if (seen === since && isSeen()) end({ done: true, secret });
      else again();
    }, AFTER_MS);
  };
  setTimeout(() => {
    if (over) return;
    over = true;
    said.textContent = 'That took too long. Nothing was changed.';
    yes.remove();
    no.textContent = 'Close';
    no.onclick = () => tell({ done: false });
  }, seconds * 1000);

  if (!canTell) {
    document.getElementById('code').hidden = false;
    document.getElementById('digits').textContent = digits;
  }
  show();
  no.focus();
  new ResizeObserver(() => tell({ height: Math.ceil(dialog.getBoundingClientRect().height) })).observe(dialog);
})();
