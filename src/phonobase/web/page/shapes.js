// What the API answers with, as far as the page reads it. Times are ISO 8601; frames are whole numbers.

/**
 * @typedef {object} Source
 * @property {string} name
 * @property {string | null} [first_heard_at]
 * @property {string | null} [last_heard_at]
 * @property {string | null} [recording_id] the recording that is being made
 * @property {boolean} [recording]
 */

/**
 * @typedef {object} Recording
 * @property {string} id
 * @property {string} source
 * @property {string | null} title
 * @property {string | null} notes
 * @property {string} started_at
 * @property {string} ended_at
 * @property {number} seconds
 * @property {"recording" | "complete" | "interrupted"} state
 * @property {number | null} peak_dbfs null: digital silence
 * @property {number | null} rms_dbfs
 * @property {number} clipped_frames
 * @property {number} sample_rate
 * @property {number} channels
 * @property {string} sample_format
 * @property {string} encoding
 * @property {string} media_type
 * @property {number} file_bytes
 * @property {Record<string, unknown>} tags
 * @property {string | null} external_id
 * @property {string} run_id
 * @property {number} frame_count
 * @property {string | null} pcm_sha256
 * @property {number | null} drift_ppm
 */

/**
 * @typedef {object} Gap
 * @property {string} started_at
 * @property {string} ended_at
 * @property {string} cause
 * @property {string | null} [detail]
 * @property {number | null} [first_frame]
 * @property {number | null} [frame_count]
 * @property {number} [count] how many gaps it stands for
 */

/**
 * @typedef {object} Coverage
 * @property {number} heard_us microseconds that are there as sound
 * @property {Record<string, number>} lost_us those that are not, for each cause
 */

/**
 * @typedef {object} Brief
 * @property {string} id
 * @property {string} started_at
 * @property {string} ended_at
 * @property {string} state
 * @property {string | null} title
 */

/**
 * @typedef {object} Timeline
 * @property {string} source
 * @property {string} from
 * @property {string} to
 * @property {number} columns
 * @property {number[]} heard the share of each column that was heard
 * @property {(number | null)[]} peak_dbfs
 * @property {Gap[]} gaps
 * @property {Brief[]} recordings
 */

/**
 * @typedef {object} Peaks
 * @property {number} start first frame
 * @property {number} stop the frame behind the last
 * @property {number} sample_rate
 * @property {number} channels
 * @property {number} width
 * @property {number[][]} peaks minimum and maximum in turn, for each channel
 */

/**
 * @typedef {object} Heard a chunk that was committed
 * @property {string} [source]
 * @property {string} recording_id
 * @property {string} started_at
 * @property {string} ended_at
 * @property {number} first_frame
 * @property {number} frame_count
 * @property {number | null} peak_dbfs
 * @property {number | null} rms_dbfs
 */

/**
 * @typedef {object} Status
 * @property {string} source
 * @property {string} recording_id
 * @property {string} started_at
 * @property {string} heard_until
 * @property {boolean} recording false where its recorder has died
 * @property {number | null} peak_dbfs
 * @property {number | null} rms_dbfs
 */

/**
 * @typedef {object} Me
 * @property {string} name
 * @property {"read" | "write" | "admin"} scope
 * @property {string[] | null} sources
 * @property {boolean} session
 */

export {};
