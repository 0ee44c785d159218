/** How every browser of ours is started: the machine's own Chromium, nothing fetched, nothing phoned home. */
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const PATHS = [process.env.HIFI_CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Throws when there is no browser: a browser test that cannot run has failed. */
export const launch = () => {
  const executablePath = PATHS.find((path) => path !== undefined && path !== '' && existsSync(path));
  if (executablePath === undefined)
    throw new Error('no Chromium: install the package `chromium` or set HIFI_CHROMIUM to the executable');
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
};
