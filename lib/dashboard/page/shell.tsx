/** What is around every view: where one is, whether the page is live, who is signed in, and what cannot wait. */
import { Component, type ComponentChildren, type ComponentType } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { hashOf, VIEW_TITLES, VIEWS, type ViewName } from '../model/place.js';
import { BreakGlassBanner } from './break-glass-banner.js';
import { Connection } from './connection.js';
import { useApplication, useCaller, usePlace } from './hooks.js';
import { Notice } from './parts/notice.js';
import { SignInDialog } from './sign-in.js';
import type { ViewProperties } from './view-properties.js';
import { EfficiencyView } from './views/efficiency.js';
import { ExpertsView } from './views/experts.js';
import { FleetView } from './views/fleet.js';
import { KeysView } from './views/keys.js';
import { PrivacyView } from './views/privacy.js';
import { ReleaseView } from './views/release.js';
import { RoundView } from './views/round.js';

const COMPONENTS: Readonly<Record<ViewName, ComponentType<ViewProperties>>> = {
  fleet: FleetView,
  round: RoundView,
  privacy: PrivacyView,
  efficiency: EfficiencyView,
  release: ReleaseView,
  keys: KeysView,
  experts: ExpertsView,
};

export function Shell() {
  const application = useApplication();
  const { view, subject } = usePlace();
  const title = useRef<HTMLHeadingElement>(null);
  const shown = useRef(view);
  const View = COMPONENTS[view];
  useEffect(() => {
    document.title = `${VIEW_TITLES[view]} · TensorGuard`;
    // Whoever went there by keyboard or hears the page goes on at the new view.
    if (shown.current !== view) title.current?.focus();
    shown.current = view;
  }, [view]);
  return (
    <>
      <a class="skip" href={hashOf(view, subject)} onClick={(event) => skipTo(event, title.current)}>
        Skip to the view
      </a>
      <Header />
      <nav class="views" aria-label="Views">
        {VIEWS.map((name) => (
          <a key={name} href={hashOf(name)} aria-current={name === view ? 'page' : undefined}>
            {VIEW_TITLES[name]}
          </a>
        ))}
      </nav>
      <main>
        <BreakGlassBanner />
        <h1 ref={title} tabIndex={-1}>
          {VIEW_TITLES[view]}
        </h1>
        <Contained key={view}>
          <View subject={subject} />
        </Contained>
      </main>
      {application.signIn.isNeeded && <SignInDialog failure={application.signIn.failure} />}
    </>
  );
}

function skipTo(event: Event, target: HTMLElement | null): void {
  event.preventDefault();
  target?.focus();
}

function Header() {
  const application = useApplication();
  const caller = useCaller();
  return (
    <header>
      <a class="brand" href={hashOf('fleet')}>
        <img src="/dashboard/icon.svg" alt="" width="24" height="24" />
        <span>TensorGuard</span>
        {caller !== undefined && <span class="fleet-name">{caller.fleet}</span>}
      </a>
      <Connection />
      {caller !== undefined && !application.signIn.isNeeded && (
        <div class="caller">
          <span class="caller-name">{caller.name ?? caller.id}</span>
          <span class="tag">{caller.role}</span>
          <button type="button" class="quiet" onClick={() => application.leave()}>
            Sign out
          </button>
        </div>
      )}
    </header>
  );
}

/** A view that fails takes nothing else with it: a newer server may send what this page does not expect. */
class Contained extends Component<{ readonly children: ComponentChildren }, { readonly failure?: unknown }> {
  override componentDidCatch(failure: unknown): void {
    this.setState({ failure });
    console.error(failure);
  }

  override render() {
    if (this.state.failure === undefined) return this.props.children;
    return (
      <Notice
        title="This view cannot show what the server sent"
        advice="The server may be another version than this page. Reload the page; if that does not help, report it with what the browser's console says."
      />
    );
  }
}
