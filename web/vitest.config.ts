/** Unit tests of the framework-free core; no browser, no network. Browser tests: `e2e/vitest.config.ts`. */
import { defineConfig } from 'vitest/config';

export default defineConfig({ test: { include: ['src/**/*.test.ts'], environment: 'node', testTimeout: 30_000 } });
