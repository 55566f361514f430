/** A list that can be searched: by the keys of the ARIA pattern, or by pointer. */
import { useId, useMemo, useRef, useState } from "preact/hooks";
import { type Choice, matching } from "../model/choices";
import { shown } from "../model/text";

interface Props {
  label: string;
  value: string;
  choices: () => Choice[];
  choose(choice: Choice): void;
  /** What is typed and isn't in the list. */
  typed(text: string): void;
}

export function Combobox({ label, value, choices, choose, typed }: Props) {
  const id = useId();
  const [text, setText] = useState<string | null>(null);
  const [active, setActive] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const open = text !== null;
  const all = useMemo(() => (open ? choices() : []), [open]);
  const found = useMemo(() => (open ? matching(all, text ?? "") : []), [all, text]);

  const close = () => setText(null);
  const take = (choice: Choice) => {
    close();
    choose(choice);
  };
  const move = (to: number) => {
    const next = Math.max(0, Math.min(found.length - 1, to));
    setActive(next);
    list.current?.children[next]?.scrollIntoView({ block: "nearest" });
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") open ? move(active + 1) : setText("");
    else if (event.key === "ArrowUp") move(active - 1);
    else if (event.key === "Enter") {
      const choice = found[active];
      if (open && choice) take(choice);
      else if (open && text) {
        close();
        typed(text);
      } else setText("");
    } else if (event.key === "Escape" && open) close();
    else return;
    event.preventDefault();
  };

  return (
    <div class="combobox">
      <label for={id}>{label}</label>
      <input
        ref={input} id={id} role="combobox" aria-expanded={open} aria-controls={`${id}-list`} aria-autocomplete="list"
        aria-activedescendant={open && found[active] ? `${id}-${active}` : undefined} autocomplete="off" spellcheck={false}
        value={text ?? shown(value)} title={shown(value)} onFocus={() => input.current?.select()}
        onClick={() => { setText(""); setActive(0); }} placeholder={open ? "type to search" : ""}
        onInput={(event) => { setText(event.currentTarget.value); setActive(0); }} onKeyDown={key} onBlur={close}
      />
      {open && (
        <ul ref={list} id={`${id}-list`} role="listbox" aria-label={label}>
          {found.map((each, index) => (
            <li
              key={`${each.label} ${each.detail}`} id={`${id}-${index}`} role="option" aria-selected={index === active}
              onMouseDown={(event) => { event.preventDefault(); take(each); }} onMouseEnter={() => setActive(index)}
            >
              <span class="label">{shown(each.label)}</span> <span class="detail">{shown(each.detail)}</span>
            </li>
          ))}
          {!found.length && <li class="none" role="option" aria-selected={false}>Enter takes what is typed: an address, pod@NODE, svc/NAME …</li>}
        </ul>
      )}
    </div>
  );
}
