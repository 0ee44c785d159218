/** Starts the page: styles, store, root component. Nothing else happens here. */
import './styles/base.css';
import { render } from 'solid-js/web';
import { App } from './app.tsx';
import { createStore } from './store.ts';

const root = document.getElementById('app');
if (root !== null) render(() => <App store={createStore()} />, root);
