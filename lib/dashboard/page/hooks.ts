/** From what the page shares to components. */
import { createContext } from 'preact';
import { useContext, useEffect, useReducer, useState } from 'preact/hooks';
import type { Caller } from '../../server/routes/caller.js';
import { type Place, placeOf } from '../model/place.js';
import type { Snapshot } from '../model/resources.js';
import type { Application } from './application.js';

export const ApplicationContext = createContext<Application | undefined>(undefined);

/** Rendered again whenever sign-in or connection change. */
export function useApplication(): Application {
  const application = useContext(ApplicationContext);
  if (application === undefined) throw new TypeError('outside of the page');
  const [, render] = useReducer((count: number) => count + 1, 0);
  useEffect(() => application.subscribe(() => render(undefined as never)), [application]);
  return application;
}

/** What the server answers on a path, kept up to date; undefined reads nothing. */
export function useResource<T>(path: string | undefined): Snapshot<T> {
  const application = useContext(ApplicationContext);
  const [, render] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    if (path === undefined) return undefined;
    return application?.resources.watch(path, () => render(undefined as never));
  }, [application, path]);
  const nothing = { value: undefined, failure: undefined, isLoading: false };
  return path === undefined || application === undefined ? nothing : application.resources.peek<T>(path);
}

export function useCaller(): Caller | undefined {
  return useResource<Caller>('/v1/caller').value;
}

export function usePlace(): Place {
  const [place, setPlace] = useState(() => placeOf(location.hash));
  useEffect(() => {
    const follow = (): void => setPlace(placeOf(location.hash));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return place;
}

/** One clock for the whole page: a hundred ages are rendered together. */
const ticking = new Set<() => void>();
setInterval(() => {
  for (const tick of ticking) tick();
}, 1000);

/** The time, for ages and deadlines that go on while nothing else happens. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const tick = (): void => setNow(Date.now());
    ticking.add(tick);
    return () => {
      ticking.delete(tick);
    };
  }, []);
  return now;
}
