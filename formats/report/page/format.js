// Numbers and moments for people.

export function duration(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 0.095) return "0 ms";
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(ms < 9_950 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function size(bytes) {
  if (bytes === null || bytes === undefined || bytes < 0) return "";
  if (bytes < 1000) return `${bytes} B`;
  let value = bytes;
  for (const unit of ["kB", "MB", "GB"]) {
    value /= 1000;
    if (value < 999.5) return `${value.toFixed(value < 9.95 ? 1 : 0)} ${unit}`;
  }
  return `${value.toFixed(0)} GB`;
}

export function count(number) {
  return number.toLocaleString("en-US");
}

export function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

// Microseconds since the Unix epoch → 2026-11-18 11:20:30.250 UTC.
export function moment(micros) {
  if (!micros) return "";
  return `${new Date(micros / 1000).toISOString().replace("T", " ").replace("Z", "")} UTC`;
}

export function clock(micros) {
  return moment(micros).slice(11, 23);
}

// What stands in the column of the status, and its class for the colour.
export function outcome(session, i) {
  const status = session.table.status[i];
  const kind = session.kind(i);
  if (kind === "tunnel") return ["tunnel", session.failed(i) ? "bad" : "muted"];
  if (kind === "fault") return [status ? `${status} error` : "error", "bad"];
  if (!session.ended(i)) return [status ? `${status} open` : "open", "bad"];
  if (session.failed(i) && status < 500) return [status ? `${status} abort` : "abort", "bad"];
  return [String(status || ""), status >= 500 ? "bad" : status >= 400 ? "warn" : status >= 300 ? "muted" : "good"];
}

// A long text with its middle left out.
export function shortened(text, most) {
  if (text.length <= most) return text;
  const half = Math.floor((most - 1) / 2);
  return `${text.slice(0, half)}…${text.slice(text.length - half)}`;
}

// Control characters and those that change the direction of text, made visible.
export function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (char) =>
    `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

// A URL with its percent-encoded UTF-8 as characters (RFC 3987, 3.2); encoded ASCII stays as it is.
export function readable(url) {
  return url.replace(/(?:%[89a-f][0-9a-f])+/gi, (found) => {
    try {
      const text = decodeURIComponent(found);
      return /^[\p{L}\p{M}\p{N}\p{P}\p{S}]*$/u.test(text) ? text : found;
    } catch {
      return found; // not UTF-8
    }
  });
}

export function pathOf(url) {
  const match = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*([^#]*)/i.exec(url);
  return match ? match[1] || "/" : url;
}

export function hostOf(url) {
  const match = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#]*@)?([^/?#]*)/i.exec(url);
  return match ? match[1] : "";
}
