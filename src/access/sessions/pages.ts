import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:22rem;margin:12vh auto;padding:0 1rem}label{display:block;margin:1rem 0 .2rem}' +
  'input{width:100%;padding:.5rem;font:inherit;box-sizing:border-box}button{display:block;width:100%;margin-top:1.5rem;padding:.6rem;font:inherit}' +
  '.error{color:#b00020}';

// The pages load nothing: their one style stands in them, and is named here by its hash. Browsers follow redirects of a form only where form-action
// allows them, so signing in elsewhere is a link and not a form.
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

function sendPage(res: ServerResponse, status: number, title: string, body: string): void {
  res.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': POLICY,
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
  });
  res.end(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)} – Model Commons</title>
<style>${STYLE}</style>
<h1>${escapeHtml(title)}</h1>
${body}
`);
}

const errorOf = (message: string): string => (message === '' ? '' : `<p class="error" role="alert">${escapeHtml(message)}</p>`);

/** `next` is where to go afterwards; `elsewhere` offers to sign in at the company's own identity provider. */
export function sendLoginPage(res: ServerResponse, status: number, form: { next: string; message: string; elsewhere: boolean }): void {
  const { next, message, elsewhere } = form;
  sendPage(
    res,
    status,
    'Sign in',
    `${errorOf(message)}
<form method="post" action="/login">
<input type="hidden" name="next" value="${escapeHtml(next)}">
<label for="username">User name</label><input id="username" name="username" autocomplete="username" required autofocus>
<label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Sign in</button>
</form>
${elsewhere ? `<p><a href="/login/oidc?next=${encodeURIComponent(next)}">Sign in with single sign-on</a></p>` : ''}`,
  );
}

/** Asks for the first password of the user whose setup token it is. */
export function sendSetupPage(res: ServerResponse, status: number, form: { token: string; message: string }): void {
  sendPage(
    res,
    status,
    'Choose a password',
    `${errorOf(form.message)}
<p>For the administrator of this server. At least 12 characters.</p>
<form method="post" action="/setup">
<input type="hidden" name="token" value="${escapeHtml(form.token)}">
<label for="password">Password</label><input id="password" name="password" type="password" autocomplete="new-password" minlength="12" required autofocus>
<button>Save</button>
</form>`,
  );
}
