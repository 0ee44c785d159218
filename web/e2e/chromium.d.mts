import type { Browser } from 'playwright-core';
export declare const launch: () => Promise<Browser>;
