/** How the page is built: one entry, two vendor chunks, nothing inlined (the content security policy forbids it). */
import { defineConfig } from 'vite';
import solid from 'vite-plugin-solid';

/** `npm run dev` serves the sources and sends everything else to a running stack. */
const api = process.env.HIFI_API ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [solid()],
  build: {
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'charts', test: /node_modules[\\/](lightweight-charts|fancy-canvas)/ },
            { name: 'solid', test: /node_modules[\\/]solid-js/ },
          ],
        },
      },
    },
  },
  server: {
    proxy: {
      '/v1': { target: api, ws: true },
      '/api': { target: api },
      '/rpc': { target: api, ws: true },
      '/config.json': { target: api },
    },
  },
});
