// A list of any length, of which only the visible rows exist. One row is selected; keys move the selection.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "../html.js";

const BEYOND = 8; // rows that exist above and below the visible ones
const PRINTED = 500;

export function List({ label, count, height, row, selected, onSelect, onOpen, head, empty, printing, rowCount }) {
  const box = useRef(null);
  const [view, setView] = useState({ top: 0, height: 600 });

  useLayoutEffect(() => {
    const element = box.current;
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    if (selected < 0) return;
    const element = box.current;
    const headHeight = head ? height : 0;
    const top = selected * height;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + height + headHeight > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + height + headHeight - element.clientHeight;
    }
  }, [selected, count]);

  const onKeyDown = (event) => {
    const page = Math.max(1, Math.floor(view.height / height) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -count, End: count };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in steps) onSelect(Math.max(0, Math.min(count - 1, selected + steps[event.key])));
    else if (event.key === "Enter" && selected >= 0) onOpen(selected);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const first = printing ? 0 : Math.max(0, Math.floor(view.top / height) - BEYOND);
  const last = printing ? Math.min(count, PRINTED) : Math.min(count, Math.ceil((view.top + view.height) / height) + BEYOND);
  const rows = [];
  for (let place = first; place < last; place++) rows.push(row(place, place === selected));
  return html`
    <div class="list" role="grid" tabindex="0" aria-label=${label} aria-rowcount=${rowCount ?? count} ref=${box}
      aria-activedescendant=${selected >= first && selected < last ? `row-${selected}` : null}
      onScroll=${(event) => setView({ top: event.currentTarget.scrollTop, height: event.currentTarget.clientHeight })}
      onKeyDown=${onKeyDown}>
      ${head}
      <div class="rows" style=${printing ? {} : { height: `${count * height}px` }}>
        <div style=${printing ? {} : { transform: `translateY(${first * height}px)` }}>${rows}</div>
      </div>
      ${printing && count > PRINTED ? html`<p class="note">… and ${count - PRINTED} more</p>` : null}
      ${count === 0 ? html`<p class="note">${empty}</p>` : null}
    </div>`;
}
