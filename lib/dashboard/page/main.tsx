/** The dashboard. */
import './styles/page.css';
import 'uplot/dist/uPlot.min.css';
import { render } from 'preact';
import { Application } from './application.js';
import { ApplicationContext } from './hooks.js';
import { Shell } from './shell.js';

const root = document.getElementById('page');
if (root === null) throw new TypeError('the page has no place for itself');
render(
  <ApplicationContext.Provider value={new Application()}>
    <Shell />
  </ApplicationContext.Provider>,
  root,
);
