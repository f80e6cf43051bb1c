
// -- editor --------------------------------------------------------------------------------------

// On each pause in typing the text is sent as the button "Check" sends it; the answer is the page
// once more, of which the marks, the problems and the graph are taken.
const editor = document.querySelector('form[data-check]');
if (editor) {
  const text = $('definition');
  const follow = () => {
    const under = editor.querySelector('.marks');
    [under.scrollTop, under.scrollLeft] = [text.scrollTop, text.scrollLeft];
  };
  let pause;
  let asked = 0;
  const check = async () => {
    const number = ++asked;
    const body = new URLSearchParams(new FormData(editor));
    const answer = await fetch(editor.dataset.check, { method: 'POST', body }).catch(() => null);
    if (number !== asked || !answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    if (number !== asked) return;
    for (const el of page.querySelectorAll('form[data-check] .region[id]')) {
      if (el.id !== 'counts') replace(el.id, el.innerHTML);
    }
    editor.classList.remove('stale');
    follow();
  };
  text.addEventListener('scroll', follow);
  text.addEventListener('input', () => {
    editor.classList.add('stale');
    clearTimeout(pause);
    pause = setTimeout(check, 250);
  });
  addEventListener('click', (event) => {
    const to = event.target.closest('a')?.getAttribute('href')?.match(/^#at-(\d+)-(\d+)$/);
    if (!to) return;
    event.preventDefault();
    text.focus();
    text.setSelectionRange(Number(to[1]), Number(to[2]));
    const line = text.value.slice(0, Number(to[1])).split('\n').length - 1;
    const height = parseFloat(getComputedStyle(text).lineHeight);
    text.scrollTop = Math.max(0, line * height - text.clientHeight / 3);
    follow();
  });
  follow();
}
