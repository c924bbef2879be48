// The one way to make elements. Everything is text to it: there is no place where a string becomes markup.
import { h } from "preact";
import htm from "htm";

export const html = htm.bind(h);
