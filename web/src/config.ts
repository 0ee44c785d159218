/** What the server says about itself at run time; nothing of it is baked into the build. */
export interface Config {
  readonly chain_id: number;
  readonly exchange: string;
  /** Path of the websocket on this origin. */
  readonly ws: string;
  readonly version: string;
}
