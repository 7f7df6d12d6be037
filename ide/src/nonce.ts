/**
 * Give every style element that a script makes the page's nonce. Monaco and React's overlays make some
 * and know nothing of nonces; with this the policy needs no 'unsafe-inline' for style elements.
 */
const nonce = document.querySelector<HTMLMetaElement>("meta[property=csp-nonce]")?.nonce ?? "";
const createElement = document.createElement.bind(document);

document.createElement = ((name: string, options?: ElementCreationOptions) => {
  const element = createElement(name, options);
  if (element instanceof HTMLStyleElement) element.nonce = nonce;
  return element;
}) as typeof document.createElement;
