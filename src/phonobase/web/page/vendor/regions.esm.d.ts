export * from "wavesurfer.js/dist/plugins/regions.esm.js";
export { default } from "wavesurfer.js/dist/plugins/regions.esm.js";
