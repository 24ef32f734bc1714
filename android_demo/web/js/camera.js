// The camera's picture in a video element.
import { pictureOf } from "./images.js";
import { Message } from "./message.js";

const REASONS = {
  NotAllowedError: "it was not allowed; allow the camera for this page in the browser",
  NotFoundError: "there is none",
  NotReadableError: "another program has it",
  OverconstrainedError: "it has no picture of that size",
};

/** The stream of the camera at the back, where there is one, shown in a video element. */
export async function startCamera(video) {
  let stream;
  try {
    const wanted = { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 720 } };
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
  } catch (error) {
    throw new Message(`the camera cannot be used: ${REASONS[error.name] ?? error.name}`);
  }
  video.srcObject = stream;
  await video.play();
}

export function stopCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

/** The image that the camera shows now. */
export const frameOf = (video) => pictureOf(video, video.videoWidth, video.videoHeight);
