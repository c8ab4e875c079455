// The API from a page: same origin, the session's cookie, the page's own CSRF token.
export const token = () => document.querySelector("[name=csrfmiddlewaretoken]").value;

/** A sentence of the host's, in the page's language where there is one. */
export const spoken = (told, name) => told?.[`${name}_in`]?.[document.documentElement.lang.slice(0, 2)] ?? told?.[name];

export class Refused extends Error {
  constructor(status, told) {
    super([spoken(told, "detail"), spoken(told, "hint")].filter((part) => typeof part === "string" && part).join(" ") || `${status}`);
    this.status = status;
  }
}

export async function call(method, path, body) {
  const answer = await fetch(`/api/v1${path}`, {
    method,
    headers: { "X-CSRFToken": token(), ...(body ? { "Content-Type": "application/json" } : {}) },
    body: body ? JSON.stringify(body) : undefined,
  });
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, told);
  return told;
}

/** Follow a job: each event to `told`, and its end as the promise's value. */
export function followed(job, told = () => {}) {
  return new Promise((resolve) => {
    const stream = new EventSource(`/api/v1/jobs/${job.id}/events`);
    stream.addEventListener("told", (event) => told(JSON.parse(event.data)));
    stream.addEventListener("ended", (event) => { stream.close(); resolve(JSON.parse(event.data)); });
  });
}

export const said = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

export function size(bytes) {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  return bytes >= 2 ** 20 ? `${Math.round(bytes / 2 ** 20)} MiB` : `${Math.ceil(bytes / 1024)} KiB`;
}
