/// What makes a page of runs follow what happens: a script that listens on `/api/ws` and, when something happens, fetches its page again and
/// shows the new part; and the line that tells the reader when it cannot.
///
/// How the socket ends decides what the reader is told (RFC 6455 §7.4.1). The gateway closes it with 1008 at the login's end, also where the
/// login can be renewed: asking `/oauth2/session` renews it, and only 401 there means that somebody has to log in. After 1001, the end of
/// a gateway that is being replaced, and after a loss the page comes back by itself.
enum LivePage {
    /// Where the script speaks to the reader. It stands before the parts that are shown anew.
    static let notice: HTML = """
        <div id="live" role="status"></div>
        <noscript><p class="live soft">Without JavaScript this page does not follow what happens: load it again to see what is new.</p></noscript>
        """

    static let script = #"""
        (() => {
          const of = document.body.dataset.of, id = crypto.randomUUID(), notice = document.getElementById('live');
          let socket = null, since = Date.now(), pause = 1000, timer = 0, due = 0, wasAway = false, cause = '', isLeaving = false;
          const state = word => { document.documentElement.dataset.live = word; };
          const say = (text, kind, step) => {
            const line = document.createElement('p');
            line.className = kind;
            line.append(text + ' ', step);
            notice.replaceChildren(line);
          };
          const ended = () => {
            state('ended');
            const link = document.createElement('a');
            link.href = '/oauth2/start?rd=' + encodeURIComponent(location.pathname + location.search);
            link.textContent = 'Log in again';
            say('Your login has ended, and this page no longer shows what is new.', 'fault', link);
          };
          // Its answer renews a login that can be renewed. Where no gateway stands before the page there is no login to end.
          const hasEnded = async () => { try { return (await fetch('/oauth2/session')).status === 401; } catch { return false; } };
          const show = async () => {
            due = 0;
            try {
              const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
              if (answer.status === 401) return ended();
              if (!answer.ok) throw new Error(answer.status);
              const page = new DOMParser().parseFromString(await answer.text(), 'text/html'), held = document.activeElement?.getAttribute('href');
              for (const part of ['header', 'main']) document.querySelector(part).replaceWith(page.querySelector(part));
              if (held) document.querySelector(`a[href="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
              if (socket?.readyState === 1) notice.replaceChildren();
            } catch { due = setTimeout(show, 5000); }
          };
          const lost = async code => {
            if (isLeaving) return;
            // What began it; that nobody answers meanwhile is no other cause.
            if (!wasAway) cause = code === 1001 ? 'The gateway is being replaced by a new one.' : 'The connection was lost.';
            wasAway = true;
            const isOver = await hasEnded();
            if (socket) return;
            if (isOver) return ended();
            const isRenewed = code === 1008 && pause === 1000, wait = isRenewed ? 0 : pause * (.75 + Math.random() / 2);
            pause = Math.min(30000, pause * 2);
            timer = setTimeout(follow, wait);
            if (isRenewed) return;
            state('no');
            const button = document.createElement('button');
            button.textContent = 'Reconnect now';
            button.onclick = follow;
            say(cause + ' This page reconnects by itself; until then it may show what was.', 'note', button);
          };
          const follow = () => {
            clearTimeout(timer);
            socket?.close();
            const mine = socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/api/ws');
            let beat = 0, isAnswered = true;
            const end = code => {
              clearInterval(beat);
              if (socket !== mine) return;
              socket = null;
              lost(code);
            };
            mine.onopen = () => {
              mine.send(JSON.stringify({ type: 'SUBSCRIBE', uuid: id, resource: of, since }));
              beat = setInterval(() => {
                if (!isAnswered) { mine.close(); return end(1006); }
                isAnswered = false;
                mine.send('__ping__');
              }, 5000);
              state('yes');
              // What it shows is as old as the last word before it was away.
              if (wasAway) { wasAway = false; clearTimeout(due); show(); }
            };
            mine.onmessage = event => {
              since = Date.now();
              // Only a socket that has lived for a while makes the pauses short again.
              if (event.data === '__pong__') { isAnswered = true; pause = 1000; } else if (!due) due = setTimeout(show, 200);
            };
            mine.onclose = event => end(event.code);
          };
          const comeBack = () => { if (!document.hidden && !socket && !isLeaving) follow(); };
          document.addEventListener('visibilitychange', comeBack);
          addEventListener('online', comeBack);
          addEventListener('pagehide', () => { isLeaving = true; });
          addEventListener('pageshow', event => { if (event.persisted) { isLeaving = false; comeBack(); } });
          follow();
        })();
        """#
}
